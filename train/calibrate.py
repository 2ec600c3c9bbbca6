"""Calibration: one or two numbers, fitted on texts kept aside, that make probabilities mean what they say."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar

from ruthan.model.classifier import softmax
from train.errors import TrainError

BOUNDS = (0.2, 5.0)
OFFSET_BOUNDS = (-5.0, 5.0)  # of the benign logit: at temperature 1 the odds of benign change by a factor up to 148

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Calibration:
    """The probabilities are the softmax of the logits, `benign_offset` added to that of benign, over `temperature`.

    The offset is in units of the logits as the network gives them, before they are divided by the temperature, so that
    adding it to the head's bias of benign and keeping the temperature says the same.
    """

    temperature: float
    benign_offset: float


def fit_temperature(logits: Array, classes: Array) -> float:
    """The temperature within `BOUNDS` with the lowest mean negative log likelihood (Guo et al., 2017).

    `logits` are (texts, classes), `classes` the index of the true class of each text.
    """

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits, float(np.exp(log_temperature)))
        chosen = probabilities[np.arange(len(classes)), classes]
        return float(-np.log(np.clip(chosen, 1e-12, 1)).mean())

    found = minimize_scalar(loss, bounds=(np.log(BOUNDS[0]), np.log(BOUNDS[1])), method="bounded")
    return float(np.exp(found.x))


def fit_calibration(logits: Array, classes: Array, benign: int, weights: Array | None = None) -> Calibration:
    """The temperature within `BOUNDS` and the offset of the benign logit within `OFFSET_BOUNDS` that together have the
    lowest mean negative log likelihood of all classes.

    A temperature alone cannot mend a model that takes honest texts for harmful more often than the other way round;
    the offset can. This is the bias-corrected temperature scaling of Alexandari et al. (2020) with the one bias that
    moves the risk. In 1/temperature and offset/temperature the loss is convex, so that what is found is the lowest.

    With offset and temperature within their bounds, the mean probability of benign is the share of benign texts.

    :param logits: (texts, classes), finite.
    :param classes: (texts,), the index of the true class of each text.
    :param benign: the index of the benign class.
    :param weights: (texts,), how much each text counts, 0 or more; by default all alike. Only ratios matter.
    :raises TrainError: there is no text, all that count are benign or none is, or a value is out of range.
    """
    weights = np.ones(len(classes)) if weights is None else np.asarray(weights, float)
    logits, classes = np.asarray(logits, float), np.asarray(classes)
    _check(logits, classes, benign, weights)
    shares = weights / weights.sum()
    rows = np.arange(len(classes))

    def loss(parameters: Array) -> tuple[float, Array]:
        """The mean loss and its gradient in the logarithm of the temperature and in the offset."""
        temperature, offset = float(np.exp(parameters[0])), parameters[1]
        shifted = logits.copy()
        shifted[:, benign] += offset
        probabilities = softmax(shifted, temperature)
        scaled = shifted / temperature
        largest = scaled.max(axis=1)
        normaliser = largest + np.log(np.exp(scaled - largest[:, None]).sum(axis=1))
        value = shares @ (normaliser - scaled[rows, classes])
        slope = shares @ (scaled[rows, classes] - (probabilities * scaled).sum(axis=1))
        bias = shares @ (probabilities[:, benign] - (classes == benign)) / temperature
        return float(value), np.array([slope, bias])

    bounds = [(np.log(BOUNDS[0]), np.log(BOUNDS[1])), OFFSET_BOUNDS]
    options = {"ftol": 1e-12, "gtol": 1e-8, "maxiter": 1000}
    found = minimize(loss, np.zeros(2), jac=True, bounds=bounds, method="L-BFGS-B", options=options)
    return Calibration(float(np.exp(found.x[0])), float(found.x[1]))


def _check(logits: Array, classes: Array, benign: int, weights: Array) -> None:
    """:raises TrainError: nothing sound can be fitted."""
    if not len(classes):
        raise TrainError("there is no text to calibrate on; give the calibration part a larger share of `split`")
    if logits.ndim != 2 or len(logits) != len(classes):
        raise TrainError(f"logits of shape {logits.shape} for {len(classes)} texts; one row a text is needed")
    if not np.isfinite(logits).all():
        raise TrainError("a logit to calibrate on is not finite; training has diverged: lower the learning rates")
    if not 0 <= benign < logits.shape[1] or classes.min() < 0 or classes.max() >= logits.shape[1]:
        raise TrainError(
            f"a class lies outside the {logits.shape[1]} classes of the logits; use the model's own labels"
        )
    if weights.shape != classes.shape or not np.isfinite(weights).all() or weights.min() < 0:
        raise TrainError(f"{weights.size} weights for {len(classes)} texts; one a text is needed, finite, 0 or more")
    sides = set((classes[weights > 0] == benign).tolist())
    if len(sides) < 2:
        missing = {(): "of any weight", (True,): "that is harmful", (False,): "that is benign"}[tuple(sides)]
        raise TrainError(f"there is no text {missing} to calibrate on; add some to the calibration part")
