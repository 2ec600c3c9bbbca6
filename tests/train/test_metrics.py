import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from train.calibrate import fit_temperature
from train.metrics import (
    expected_calibration_error,
    risk_metrics,
    risk_threshold,
    summary,
    weighted_calibration_error,
    weighted_macro_f1,
    weighted_ranking,
)


def test_a_perfect_score_has_full_recall_and_a_useless_one_has_none() -> None:
    truth = np.array([True] * 50 + [False] * 200)
    assert risk_metrics(truth.astype(float), truth).recall == {"0.01": 1.0, "0.05": 1.0}
    assert risk_metrics(truth.astype(float), truth).auc == 1.0
    useless = risk_metrics(np.full(250, 0.5), truth)
    assert (useless.auc, useless.recall["0.05"]) == (0.5, 0.0)


def test_the_threshold_never_flags_more_honest_texts_than_the_budget() -> None:
    random = np.random.default_rng(1)
    for budget in (0.0, 0.01, 0.05, 0.5):
        risks = np.round(random.random(333), 2)  # with many ties
        harmful = random.random(333) < 0.3
        threshold = risk_threshold(risks, harmful, budget)
        assert (risks[~harmful] >= threshold).mean() <= budget


def test_one_sided_data_has_no_auc() -> None:
    assert risk_metrics([0.1, 0.2], [False, False]).auc is None
    only_harmful = risk_metrics([0.1, 0.2], [True, True])
    assert (only_harmful.auc, only_harmful.recall) == (None, {"0.01": 0.0, "0.05": 0.0})


def test_calibration_error_is_the_gap_between_risk_and_truth() -> None:
    risks = np.full(100, 0.8)
    assert expected_calibration_error(risks, np.arange(100) < 80) == pytest.approx(0)
    assert expected_calibration_error(risks, np.arange(100) < 30) == pytest.approx(0.5)


def test_temperature_makes_overconfident_logits_honest() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 2000)
    said = np.where(random.random(2000) < 0.7, truth, (truth + 1) % 3)  # right 70% of the time
    logits = np.eye(3)[said] * 6  # and far too sure
    temperature = fit_temperature(logits, truth)
    assert temperature > 3
    assert fit_temperature(logits / temperature, truth) == pytest.approx(1, abs=0.05)


def test_the_summary_of_a_part_holds_a_confusion_matrix_that_adds_up() -> None:
    labels = ["loan", "benign"]
    result = summary(["loan", "benign", "loan"], np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]), labels)
    assert result["confusion"] == [[1, 1], [0, 1]]
    assert result["auc"] == 1.0


def draws(texts: int, rows: int = 30) -> np.ndarray:
    """How often each text is drawn, and first once each; more rows than are measured at once."""
    random = np.random.default_rng(2)
    counts = [np.bincount(random.integers(0, texts, texts), minlength=texts) for _ in range(rows)]
    return np.stack([np.ones(texts, int), *counts]).astype(np.float32)


@pytest.mark.parametrize("decimals", [1, 8])  # with many ties, and without
def test_all_draws_at_once_are_what_each_draw_is_by_itself(decimals: int) -> None:
    random = np.random.default_rng(1)
    harmful = random.random(200) < 0.3
    risks = np.round(np.clip(random.normal(0.4 + 0.2 * harmful, 0.2), 0, 1), decimals)
    weights = draws(200, 130)
    found = weighted_ranking(risks, harmful, weights, (0.0, 0.01, 0.05, 1.0))
    for row, counts in enumerate(weights.astype(int)):
        drawn, truth = np.repeat(risks, counts), np.repeat(harmful, counts)
        assert found.auc[row] == pytest.approx(roc_auc_score(truth, drawn))
        assert found.average_precision[row] == pytest.approx(average_precision_score(truth, drawn))
        for budget, recall in found.recall.items():
            assert recall[row] == pytest.approx((drawn[truth] >= risk_threshold(drawn, truth, budget)).mean())


def test_a_draw_without_a_side_has_no_rank_figures() -> None:
    weights = np.array([[1, 1, 0], [0, 1, 2], [0, 0, 0]], float)
    found = weighted_ranking(np.array([0.9, 0.4, 0.2]), np.array([True, False, False]), weights, (0.05,))
    assert found.auc[0] == 1.0
    assert np.isnan(found.auc[1:]).all()
    assert np.isnan(found.recall[0.05][1:]).all()
    nothing = weighted_ranking(np.array([]), np.array([], bool), np.ones((3, 0)), (0.05,))
    assert np.isnan(nothing.auc).all()
    assert len(nothing.recall[0.05]) == 3


def test_macro_f1_and_calibration_error_by_draw_are_those_of_the_drawn_texts() -> None:
    random = np.random.default_rng(3)
    truth, guess = random.choice(list("abc"), 120), random.choice(list("abcd"), 120)
    risks, harmful = random.random(120), random.random(120) < 0.4
    weights = draws(120)
    scores, errors = weighted_macro_f1(truth, guess, weights), weighted_calibration_error(risks, harmful, weights)
    for row, counts in enumerate(weights.astype(int)):
        expected = f1_score(np.repeat(truth, counts), np.repeat(guess, counts), average="macro", zero_division=0)
        assert scores[row] == pytest.approx(expected)
        drawn = expected_calibration_error(np.repeat(risks, counts), np.repeat(harmful, counts))
        assert errors[row] == pytest.approx(drawn, abs=1e-5)
