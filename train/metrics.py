"""Figures of merit of a risk score: AUC, recall at a false-alarm budget, per class, confusion.

Those that a bootstrap repeats a thousand times are also here by weight: each text counts as often as it was drawn, and
all resamples are measured in one pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from ruthan.taxonomy import BENIGN

BUDGETS = (0.01, 0.05)

Array = npt.NDArray[Any]


def risk_threshold(risks: Array, harmful: Array, budget: float) -> float:
    """The lowest risk at which at most the share `budget` of the honest texts is flagged (risk >= threshold).

    Returns a value above 1 if every threshold up to 1 flags more, and where no honest text says what would be.
    """
    honest = np.sort(risks[~harmful])[::-1]
    allowed = int(np.floor(budget * len(honest)))
    if not len(honest):
        return float(np.nextafter(1, np.inf))
    if allowed >= len(honest):
        return 0.0
    return float(np.nextafter(honest[allowed], np.inf))


@dataclass(frozen=True)
class RiskMetrics:
    """How well a risk score tells harmful from honest texts.

    `auc` is the area under the ROC curve, None if only one side is present; `recall` and `threshold` are by budget,
    the share of honest texts that may be flagged.
    """

    messages: int
    harmful: int
    auc: float | None
    recall: dict[str, float]
    threshold: dict[str, float]


def risk_metrics(risks: Sequence[float] | Array, harmful: Sequence[bool] | Array) -> RiskMetrics:
    """Measure risks, 0 to 1, against the truth. If a side is empty, `auc` is None and every recall 0."""
    risk, truth = np.asarray(risks, float), np.asarray(harmful, bool)
    both = bool(truth.any()) and not bool(truth.all())
    thresholds = {str(budget): risk_threshold(risk, truth, budget) for budget in BUDGETS}
    recall = {
        budget: float((risk[truth] >= threshold).mean()) if truth.any() else 0.0
        for budget, threshold in thresholds.items()
    }
    auc = float(roc_auc_score(truth, risk)) if both else None
    return RiskMetrics(len(truth), int(truth.sum()), auc, recall, thresholds)


@dataclass(frozen=True)
class WeightedRanking:
    """How well risks rank harmful above honest texts, one value a row of weights; NaN where a side has no weight.

    :param auc: area under the ROC curve, 0 to 1.
    :param average_precision: the mean precision over the harmful texts, as scikit-learn defines it, 0 to 1.
    :param recall: by budget, with the threshold that each row of weights gives.
    """

    auc: Array
    average_precision: Array
    recall: dict[float, Array]


def weighted_ranking(risks: Array, harmful: Array, weights: Array, budgets: Sequence[float]) -> WeightedRanking:
    """Measure risks, (texts,), against the truth for every row of `weights`, (rows, texts): whole numbers, how often
    each text counts.

    The AUC is the Mann-Whitney statistic: how often a harmful text has a higher risk than an honest one, equal risks
    counting half. A threshold is that of `risk_threshold`. Sorted once, all rows together: O(rows x texts).
    """
    order = np.argsort(-risks, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(risks[order]) != 0]) if len(order) else np.array([], int)
    if not len(starts):
        nothing = np.full(len(weights), np.nan)
        return WeightedRanking(nothing, nothing, dict.fromkeys(budgets, nothing))
    blocks = [
        _ranking(weights[at : at + _ROWS_AT_ONCE][:, order].astype(float), harmful[order], starts, budgets)
        for at in range(0, len(weights), _ROWS_AT_ONCE)
    ]
    return WeightedRanking(
        np.concatenate([block.auc for block in blocks]),
        np.concatenate([block.average_precision for block in blocks]),
        {budget: np.concatenate([block.recall[budget] for block in blocks]) for budget in budgets},
    )


_ROWS_AT_ONCE = 100  # keeps what is summed up of 10,000 texts within the processor's cache and 8 MB


def _ranking(weights: Array, harmful: Array, starts: Array, budgets: Sequence[float]) -> WeightedRanking:
    """As `weighted_ranking`, of texts in falling order of risk; `starts` is where each distinct risk begins."""
    hits = np.add.reduceat(weights * harmful, starts, axis=1)
    alarms = np.add.reduceat(weights * ~harmful, starts, axis=1)
    caught, flagged = hits.cumsum(1), alarms.cumsum(1)
    all_harmful, all_honest = caught[:, -1], flagged[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        auc = (alarms * (caught - hits / 2)).sum(1) / (all_harmful * all_honest)
        precision = np.divide(caught, caught + flagged, out=np.zeros_like(caught), where=caught + flagged > 0)
        average_precision = np.where(all_honest > 0, (hits * precision).sum(1) / all_harmful, np.nan)
        recall = {}
        for budget in budgets:
            within = flagged <= np.floor(budget * all_honest)[:, None]  # of falling risks, a leading part
            last = within.sum(1)
            found = np.take_along_axis(caught, np.maximum(last - 1, 0)[:, None], 1)[:, 0] * (last > 0)
            recall[budget] = np.where(all_honest > 0, found / all_harmful, np.nan)
    return WeightedRanking(auc, average_precision, recall)


def weighted_macro_f1(truth: Sequence[str], predicted: Sequence[str], weights: Array) -> Array:
    """The mean of the classes' F1 for every row of `weights`, (rows, texts); NaN without a text.

    Over the classes that are true or predicted somewhere, as scikit-learn's `f1_score(average="macro")`; a class that
    a row of weights leaves out altogether is left out of its mean.
    """
    true, guess = np.array(truth), np.array(predicted)
    classes = sorted({*truth, *predicted})
    if not classes:
        return np.full(len(weights), np.nan)
    is_true = np.stack([true == label for label in classes], 1).astype(np.float32)
    is_guess = np.stack([guess == label for label in classes], 1).astype(np.float32)
    both = weights @ (is_true * is_guess)
    total = weights @ (is_true + is_guess)
    seen = total > 0
    scores = np.divide(2 * both, total, out=np.zeros(total.shape), where=seen)
    means: Array = np.divide(scores.sum(1), seen.sum(1), out=np.full(len(weights), np.nan), where=seen.any(1))
    return means


def weighted_calibration_error(risks: Array, harmful: Array, weights: Array, bins: int = 10) -> Array:
    """`expected_calibration_error` for every row of `weights`, (rows, texts); NaN without a text."""
    index = np.minimum((risks * bins).astype(int), bins - 1)
    surplus = np.zeros((len(risks), bins), np.float32)
    surplus[np.arange(len(risks)), index] = risks - harmful
    total = weights.sum(1)
    gaps = np.abs(weights @ surplus).sum(1)
    errors: Array = np.divide(gaps, total, out=np.full(len(weights), np.nan), where=total > 0)
    return errors


def expected_calibration_error(risks: Array, harmful: Array, bins: int = 10) -> float:
    """Mean gap between risk and observed share of harmful texts over equal-width bins, weighted by size."""
    index = np.minimum((risks * bins).astype(int), bins - 1)
    gaps = [abs(risks[index == k].mean() - harmful[index == k].mean()) * (index == k).mean() for k in set(index)]
    return float(sum(gaps))


def summary(truth: Sequence[str], probabilities: Array, labels: Sequence[str]) -> dict[str, Any]:
    """Everything that a run records about one part of the data; plain values for JSON."""
    harmful = np.array([label != BENIGN for label in truth])
    risks = 1 - probabilities[:, list(labels).index(BENIGN)]
    predicted = [labels[index] for index in probabilities.argmax(1)]
    metrics = risk_metrics(risks, harmful)
    return {
        "messages": metrics.messages,
        "harmful": metrics.harmful,
        "auc": metrics.auc,
        "recall": metrics.recall,
        "threshold": metrics.threshold,
        "calibration_error": expected_calibration_error(risks, harmful) if len(truth) else None,
        "f1_harmful": float(f1_score(harmful, risks >= 0.5, zero_division=0)) if len(truth) else None,
        "f1_macro": float(f1_score(list(truth), predicted, average="macro", zero_division=0)) if len(truth) else None,
        "labels": list(labels),
        "confusion": confusion_matrix(list(truth), predicted, labels=list(labels)).tolist() if len(truth) else [],
    }
