"""Figures as people read them, in the card and in the report: a dash for what could not be measured."""

from collections.abc import Mapping

DASH = "–"
Interval = Mapping[str, float | None]


def percent(value: float | None) -> str:
    """A share, 0 to 1, in per cent."""
    return DASH if value is None else f"{100 * value:.1f}%"


def score(value: float | None) -> str:
    """An AUC or the like, 0 to 1."""
    return DASH if value is None else f"{value:.3f}"


def percent_within(interval: Interval) -> str:
    """A share and its interval: 81.9% (76.0–86.9)."""
    value, low, high = interval["value"], interval["low"], interval["high"]
    if value is None or low is None or high is None:
        return DASH
    return f"{percent(value)} ({100 * low:.1f}–{100 * high:.1f})"


def score_within(interval: Interval) -> str:
    """A score and its interval: 0.989 (0.981–0.995)."""
    value, low, high = interval["value"], interval["low"], interval["high"]
    if value is None or low is None or high is None:
        return DASH
    return f"{score(value)} ({low:.3f}–{high:.3f})"


def points_within(interval: Interval) -> str:
    """A difference in points of 100 and its interval: 1.7 (0.4 to 3.1)."""
    value, low, high = interval["value"], interval["low"], interval["high"]
    if value is None or low is None or high is None:
        return DASH
    return f"{value:.1f} ({low:.1f} to {high:.1f})"
