"""Temperature scaling: one number that makes probabilities mean what they say (Guo et al., 2017)."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar

from ruthan.model.classifier import softmax

BOUNDS = (0.2, 5.0)


def fit_temperature(logits: npt.NDArray[Any], classes: npt.NDArray[Any]) -> float:
    """The temperature within `BOUNDS` with the lowest mean negative log likelihood.

    `logits` are (texts, classes), `classes` the index of the true class of each text.
    """

    def loss(log_temperature: float) -> float:
        probabilities = softmax(logits, float(np.exp(log_temperature)))
        chosen = probabilities[np.arange(len(classes)), classes]
        return float(-np.log(np.clip(chosen, 1e-12, 1)).mean())

    found = minimize_scalar(loss, bounds=(np.log(BOUNDS[0]), np.log(BOUNDS[1])), method="bounded")
    return float(np.exp(found.x))
