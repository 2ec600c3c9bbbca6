"""Figures of merit of a risk score: AUC, recall at a false-alarm budget, per class, confusion."""

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
class ClassRow:
    """One class: how many texts, the share flagged as harmful at a threshold, and how often the class itself is hit."""

    label: str
    messages: int
    flagged: float
    recall: float
    precision: float | None


def class_table(
    truth: Sequence[str], predicted: Sequence[str], risks: Sequence[float], threshold: float
) -> list[ClassRow]:
    """One row a class that occurs, the most frequent first. `precision` is None if the class was never predicted."""
    true, guess, risk = np.array(truth), np.array(predicted), np.asarray(risks, float)
    rows = []
    for label in sorted(set(truth), key=lambda name: (-int((true == name).sum()), name)):
        mine = true == label
        said = guess == label
        precision = float((true[said] == label).mean()) if said.any() else None
        rows.append(
            ClassRow(
                label,
                int(mine.sum()),
                float((risk[mine] >= threshold).mean()),
                float((guess[mine] == label).mean()),
                precision,
            )
        )
    return rows


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
