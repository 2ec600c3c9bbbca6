import numpy as np
import pytest

from ruthan.model.classifier import softmax
from train.calibrate import BOUNDS, OFFSET_BOUNDS, Array, Calibration, fit_calibration, fit_temperature
from train.errors import TrainError

BENIGN = 0


def probabilities(logits: Array, calibration: Calibration) -> Array:
    offset = np.eye(logits.shape[1])[BENIGN] * calibration.benign_offset
    return softmax(logits + offset, calibration.temperature)


def loss(logits: Array, classes: Array, calibration: Calibration) -> float:
    return float(-np.log(probabilities(logits, calibration)[np.arange(len(classes)), classes]).mean())


def drawn(texts: int = 20_000, seed: int = 0) -> tuple[Array, Array]:
    """Logits that are right as they are: each class is drawn with the probability that they say."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (texts, 4))
    chances = softmax(logits, 1).cumsum(axis=1)
    return logits, (random.random((texts, 1)) > chances).sum(axis=1)


def test_logits_that_are_right_stay_as_they_are() -> None:
    found = fit_calibration(*drawn(), BENIGN)
    assert (found.temperature, found.benign_offset) == (pytest.approx(1, abs=0.05), pytest.approx(0, abs=0.1))


@pytest.mark.parametrize(("temperature", "offset"), [(2.5, 0.0), (0.5, -1.2), (1.7, 2.0)])
def test_a_wrong_scale_and_a_wrong_offset_are_found_together(temperature: float, offset: float) -> None:
    logits, classes = drawn()
    spoilt = logits * temperature
    spoilt[:, BENIGN] -= offset
    found = fit_calibration(spoilt, classes, BENIGN)
    assert found.temperature == pytest.approx(temperature, rel=0.05)
    assert found.benign_offset == pytest.approx(offset, abs=0.1 * temperature)


def test_nothing_on_a_grid_is_better() -> None:
    logits, classes = drawn(500)
    logits[:, BENIGN] += 1
    best = loss(logits, classes, fit_calibration(logits, classes, BENIGN))
    grid = [Calibration(t, b) for t in np.linspace(*BOUNDS, 40) for b in np.linspace(*OFFSET_BOUNDS, 40)]
    assert best <= min(loss(logits, classes, each) for each in grid)
    assert best < loss(logits, classes, Calibration(fit_temperature(logits, classes), 0))


def test_the_mean_probability_of_benign_is_its_share() -> None:
    logits, classes = drawn(800)
    logits[:, BENIGN] -= 2
    said = probabilities(logits, fit_calibration(logits, classes, BENIGN))[:, BENIGN]
    assert said.mean() == pytest.approx((classes == BENIGN).mean(), abs=1e-4)


def test_a_text_of_weight_3_counts_as_three_and_one_of_weight_0_not_at_all() -> None:
    logits, classes = drawn(300)
    weights = np.arange(300) % 4
    repeated = np.repeat(np.arange(300), weights)
    ours = fit_calibration(logits, classes, BENIGN, weights)
    theirs = fit_calibration(logits[repeated], classes[repeated], BENIGN)
    assert ours.temperature == pytest.approx(theirs.temperature, rel=1e-3)
    assert ours.benign_offset == pytest.approx(theirs.benign_offset, abs=1e-3)
    tenfold = fit_calibration(logits, classes, BENIGN, weights * 10)
    assert tenfold.benign_offset == pytest.approx(ours.benign_offset, abs=1e-3)


def test_weight_on_honest_texts_raises_the_offset() -> None:
    logits, classes = drawn(1000)
    plain = fit_calibration(logits, classes, BENIGN)
    weighted = fit_calibration(logits, classes, BENIGN, np.where(classes == BENIGN, 5, 1))
    assert weighted.benign_offset > plain.benign_offset + 0.5


def test_the_same_texts_give_the_same_numbers_and_are_left_as_they_were() -> None:
    logits, classes = drawn(300)
    before = logits.copy()
    assert fit_calibration(logits, classes, BENIGN) == fit_calibration(logits, classes, BENIGN)
    assert (logits == before).all()


@pytest.mark.parametrize("margin", [1e-3, 1.0, 10.0, 1e4])
def test_perfectly_separated_texts_stay_within_bounds_and_get_no_worse(margin: float) -> None:
    classes = np.arange(40) % 4
    logits = np.eye(4)[classes] * margin
    found = fit_calibration(logits, classes, BENIGN)
    assert BOUNDS[0] * 0.999 <= found.temperature <= BOUNDS[1] * 1.001
    assert OFFSET_BOUNDS[0] <= found.benign_offset <= OFFSET_BOUNDS[1]
    assert loss(logits, classes, found) <= loss(logits, classes, Calibration(1, 0))


@pytest.mark.parametrize("value", [0.0, 7.0, -1e6])
def test_constant_logits_say_the_share_of_benign(value: float) -> None:
    classes = np.array([BENIGN] * 30 + [1, 2, 3] * 10)
    logits = np.full((60, 4), value)
    said = probabilities(logits, fit_calibration(logits, classes, BENIGN))
    assert said[0] == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6], abs=1e-3)


def test_one_benign_and_one_harmful_text_are_enough_not_to_fail() -> None:
    found = fit_calibration(np.array([[0.3, 0.1], [0.2, 0.1]], np.float32), np.array([0, 1]), BENIGN)
    assert np.isfinite([found.temperature, found.benign_offset]).all()


@pytest.mark.parametrize(
    ("logits", "classes", "weights", "complaint"),
    [
        (np.zeros((0, 4)), [], None, "no text to calibrate on; give the calibration part a larger share"),
        (np.zeros((2, 4)), [0, 0], None, "no text that is harmful .* add some"),
        (np.zeros((2, 4)), [1, 2], None, "no text that is benign .* add some"),
        (np.zeros((2, 4)), [0, 1], [1, 0], "no text that is harmful"),
        (np.zeros((2, 4)), [0, 1], [0, 0], "no text of any weight"),
        (np.zeros((2, 4)), [0, 1], [1, -1], "2 weights for 2 texts"),
        (np.zeros((2, 4)), [0, 1], [1, np.nan], "2 weights for 2 texts"),
        (np.zeros((2, 4)), [0, 1], [1], "1 weights for 2 texts"),
        (np.zeros((2, 4)), [0, 4], None, "outside the 4 classes"),
        (np.zeros((2, 4)), [-1, 0], None, "outside the 4 classes"),
        (np.zeros((3, 4)), [0, 1], None, "one row a text"),
        (np.zeros(2), [0, 1], None, "one row a text"),
        (np.full((2, 4), np.nan), [0, 1], None, "not finite; training has diverged"),
    ],
)
def test_what_nothing_can_be_fitted_on_is_refused_with_a_remedy(
    logits: Array, classes: list[int], weights: list[float] | None, complaint: str
) -> None:
    with pytest.raises(TrainError, match=complaint):
        fit_calibration(logits, np.array(classes), BENIGN, None if weights is None else np.array(weights))
