"""How sure a figure is: 95% intervals from a bootstrap over groups of texts.

Percentile bootstrap (Efron and Tibshirani, 1993, chapter 13): groups are drawn with replacement, as many as there are,
1,000 times; the interval reaches from the 2.5th to the 97.5th percentile of the figure over the draws. Groups and not
texts, as the messages of one blast are not independent of each other. All judges are measured on the same draws.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

RESAMPLES = 1_000
SEED = 17

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Interval:
    """A figure and the 95% interval around it; all None where it cannot be measured."""

    value: float | None
    low: float | None
    high: float | None


NOTHING = Interval(None, None, None)


class Resamples:
    """The draws of one set of texts.

    :param weights: (1 + resamples, texts), float32: how often each text was drawn; the first row counts each text once,
        so that a figure and its interval come out of one calculation. 4 kB a text.
    """

    def __init__(self, groups: Sequence[Hashable], count: int = RESAMPLES, seed: int = SEED) -> None:
        number: dict[Hashable, int] = {}
        index = np.array([number.setdefault(group, len(number)) for group in groups], int)
        random = np.random.default_rng(seed)
        self.groups = len(number)
        self.weights = np.ones((1 + count, len(index)), np.float32)
        for row in range(1, 1 + count if self.groups else 0):
            drawn = np.bincount(random.integers(0, self.groups, self.groups), minlength=self.groups)
            self.weights[row] = drawn[index]


def interval(values: Array) -> Interval:
    """The first of `values` and the 2.5th and 97.5th percentile of the others, draws without a value left out."""
    if not len(values) or np.isnan(values[0]):
        return NOTHING
    drawn = values[1:][~np.isnan(values[1:])]
    low, high = np.percentile(drawn, [2.5, 97.5]) if len(drawn) else (values[0], values[0])
    return Interval(*(round(float(each), 6) for each in (values[0], low, high)))


def share(hits: Array, among: Array, weights: Array) -> Interval:
    """The share of `hits`, (texts,), of those `among`; None without any."""
    return interval(shares(hits, among, weights))


def shares(hits: Array, among: Array, weights: Array) -> Array:
    """As `share`, one value a row of `weights`; NaN where none are among the draw."""
    both = weights @ np.stack([hits & among, among], 1).astype(np.float32)
    found: Array = np.divide(both[:, 0], both[:, 1], out=np.full(len(both), np.nan), where=both[:, 1] > 0)
    return found
