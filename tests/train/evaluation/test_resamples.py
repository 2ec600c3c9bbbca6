import numpy as np
import pytest

from train.evaluation.resamples import NOTHING, Resamples, interval, share


def test_near_duplicates_are_drawn_together_and_every_draw_is_as_large_as_the_whole() -> None:
    weights = Resamples([0, 0, 1, 2, 2, 2], count=50).weights
    assert (weights[0] == 1).all()
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 3] == weights[:, 5]).all()
    assert (weights[:, [0, 2, 3]].sum(1) == 3).all()
    assert len(np.unique(weights[1:], axis=0)) > 5


def test_the_same_seed_draws_the_same() -> None:
    assert (Resamples(range(9), 20).weights == Resamples(range(9), 20).weights).all()
    assert (Resamples(range(9), 20).weights != Resamples(range(9), 20, seed=1).weights).any()


def test_the_interval_of_a_share_is_as_wide_as_theory_says() -> None:
    hits = np.arange(400) < 100
    found = share(hits, np.ones(400, bool), Resamples(range(400)).weights)
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert found.value == 0.25
    assert found.low == pytest.approx(0.25 - half, abs=0.01)
    assert found.high == pytest.approx(0.25 + half, abs=0.01)


def test_one_blast_of_many_copies_gives_a_wider_interval_than_as_many_messages() -> None:
    hits = np.arange(400) < 100
    blasts = share(hits, np.ones(400, bool), Resamples([at // 20 for at in range(400)]).weights)
    single = share(hits, np.ones(400, bool), Resamples(range(400)).weights)
    assert blasts.high - blasts.low > 3 * (single.high - single.low)


def test_what_cannot_be_measured_has_no_interval() -> None:
    assert interval(np.array([np.nan, 0.5])) == NOTHING
    assert interval(np.array([])) == NOTHING
    assert share(np.array([True]), np.array([False]), Resamples([0], 10).weights) == NOTHING
    assert Resamples([]).weights.shape[1] == 0
    alone = interval(np.array([0.5, np.nan]))
    assert (alone.value, alone.low, alone.high) == (0.5, 0.5, 0.5)
