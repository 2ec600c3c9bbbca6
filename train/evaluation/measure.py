"""Measure judgements on labelled texts: each figure with its 95% interval, see `train.evaluation.resamples`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import precision_recall_curve

from ruthan.policy import Policy
from ruthan.taxonomy import BENIGN, default_taxonomy
from train.errors import ConfigError
from train.evaluation.judges import Judgement
from train.evaluation.resamples import interval, share
from train.metrics import (
    risk_threshold,
    weighted_calibration_error,
    weighted_macro_f1,
    weighted_ranking,
)

BUDGETS = (0.001, 0.005, 0.01, 0.05)  # shares of honest texts that may be flagged
TRAFFICKING = "trafficking"
CURVE_POINTS = 101
BINS = 10

Array = npt.NDArray[Any]
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Under what conditions risks are turned into work.

    :param policy: from which risk a text is reviewed or blocked.
    :param prevalence: share of harmful ones among the messages that would come in, above 0, below 1.
    :param reviews_per_day: messages that one reviewer reads in a day.
    """

    policy: Policy
    prevalence: float = 0.05
    reviews_per_day: int = 200

    def __post_init__(self) -> None:
        if not 0 < self.prevalence < 1:
            raise ConfigError(f"--prevalence is {self.prevalence}; expected: above 0 and below 1")
        if self.reviews_per_day < 1:
            raise ConfigError(f"--reviews-per-day is {self.reviews_per_day}; expected: at least 1")


def harmful_of(labels: Sequence[str]) -> Array:
    """Whether each label is that of a harmful text."""
    return np.array([label != BENIGN for label in labels], bool)


def overall(judged: Judgement, labels: Sequence[str], weights: Array, policy: Policy) -> Figures:
    """All that is said of one judge on one set of texts; a figure that needs both sides is None without one."""
    harmful = harmful_of(labels)
    ranking = weighted_ranking(judged.risks, harmful, weights, BUDGETS)
    figures: Figures = {
        "messages": len(harmful),
        "harmful": int(harmful.sum()),
        "auc": asdict(interval(ranking.auc)),
        "average_precision": asdict(interval(ranking.average_precision)),
        "recall": {str(budget): asdict(interval(values)) for budget, values in ranking.recall.items()},
        **action_shares(judged.risks, harmful, weights, policy),
    }
    if judged.labels is not None:
        figures["f1_macro"] = asdict(interval(weighted_macro_f1(labels, judged.labels, weights)))
        figures["calibration_error"] = asdict(interval(weighted_calibration_error(judged.risks, harmful, weights)))
    return figures


def action_shares(risks: Array, harmful: Array, weights: Array, policy: Policy) -> Figures:
    """The shares of harmful and of honest texts at or above the policy's risks for review and for block."""
    return {
        action: {
            side: asdict(share(risks >= threshold, mine, weights))
            for side, mine in (("harmful", harmful), ("honest", ~harmful))
        }
        for action, threshold in (("review", policy.review), ("block", policy.block))
    }


def by_slice(
    judged: Mapping[str, Judgement],
    labels: Sequence[str],
    slices: Mapping[str, Sequence[str]],
    weights: Array,
    policy: Policy,
) -> dict[str, dict[str, dict[str, Figures]]]:
    """By dimension, slice and judge: AUC, shares to review, and shares at the threshold that the whole set gives at 1%
    false alarms (`flagged`). The AUC is that within the slice, None where it has one side only.
    """
    harmful = harmful_of(labels)
    thresholds = {name: risk_threshold(each.risks, harmful, 0.01) for name, each in judged.items()}
    result: dict[str, dict[str, dict[str, Figures]]] = {}
    for dimension, values in slices.items():
        value_of = np.array(values)
        result[dimension] = {}
        for value in sorted(set(values), key=lambda each: (-int((value_of == each).sum()), each)):
            chosen = np.flatnonzero(value_of == value)
            mine, drawn = harmful[chosen], weights[:, chosen]
            result[dimension][value] = {
                name: {
                    "messages": len(chosen),
                    "harmful": int(mine.sum()),
                    "auc": asdict(interval(weighted_ranking(each.risks[chosen], mine, drawn, ()).auc)),
                    "review": action_shares(each.risks[chosen], mine, drawn, policy)["review"],
                    "flagged": {
                        side: asdict(share(each.risks[chosen] >= thresholds[name], those, drawn))
                        for side, those in (("harmful", mine), ("honest", ~mine))
                    },
                }
                for name, each in judged.items()
            }
    return result


def class_rows(judged: Judgement, labels: Sequence[str], weights: Array) -> list[Figures]:
    """One row a class that occurs, the most frequent first: the share flagged at the threshold for 5% false alarms, and
    how often the class itself is hit. `precision` is None if the class was never predicted; without classes, no rows.
    """
    if judged.labels is None:
        return []
    true, guess = np.array(labels), np.array(judged.labels)
    threshold = risk_threshold(judged.risks, true != BENIGN, 0.05)
    rows = []
    for label in sorted(set(labels), key=lambda name: (-int((true == name).sum()), name)):
        mine, said = true == label, guess == label
        rows.append(
            {
                "label": label,
                "messages": int(mine.sum()),
                "flagged": asdict(share(judged.risks >= threshold, mine, weights)),
                "recall": asdict(share(said, mine, weights)),
                "precision": asdict(share(mine, said, weights)),
            }
        )
    return rows


def against_classes(judged: Judgement, labels: Sequence[str], weights: Array) -> list[Figures]:
    """For each class that occurs, the AUC of its own probability: its texts against all others, and against the honest
    ones alone. Without classes, no rows.
    """
    if judged.probabilities is None:
        return []
    true = np.array(labels)
    rows = []
    for at, label in enumerate(default_taxonomy().labels):
        mine = true == label
        if not mine.any():
            continue
        probability = judged.probabilities[:, at]
        some = np.flatnonzero(mine | (true == BENIGN))
        rest = weighted_ranking(probability, mine, weights, ()).auc
        honest = weighted_ranking(probability[some], mine[some], weights[:, some], ()).auc
        rows.append(
            {
                "label": label,
                "messages": int(mine.sum()),
                "auc_against_rest": asdict(interval(rest)),
                "auc_against_honest": asdict(interval(honest)) if label != BENIGN else asdict(interval(np.array([]))),
            }
        )
    return rows


def confusion(judged: Judgement, labels: Sequence[str]) -> Figures:
    """Counts of true classes, in rows, by predicted ones; of the classes that occur in either."""
    if judged.labels is None:
        return {"labels": [], "counts": []}
    present = [label for label in default_taxonomy().labels if label in {*labels, *judged.labels}]
    counts = np.zeros((len(present), len(present)), int)
    for true, said in zip(labels, judged.labels, strict=True):
        counts[present.index(true), present.index(said)] += 1
    return {"labels": present, "counts": counts.tolist()}


def threshold_rows(judged: Judgement, labels: Sequence[str], weights: Array, setting: Setting) -> list[Figures]:
    """For each budget and for the policy's risk for review: what is caught and what it costs.

    The intervals of `recall` and `trafficking` at a budget allow for the threshold being measured on these texts too:
    each resample sets its own. `per_10000` is for 10,000 messages of the stated prevalence, by the measured recall and
    share of honest texts flagged.
    """
    harmful = harmful_of(labels)
    trafficking = np.array([label == TRAFFICKING for label in labels], bool)
    some = np.flatnonzero(trafficking | ~harmful)
    ranking = weighted_ranking(judged.risks, harmful, weights, BUDGETS)
    on_trafficking = weighted_ranking(judged.risks[some], trafficking[some], weights[:, some], BUDGETS)
    rows: list[Figures] = []
    for budget in BUDGETS if harmful.any() and not harmful.all() else ():
        threshold = risk_threshold(judged.risks, harmful, budget)
        row: Figures = {
            "budget": budget,
            "threshold": threshold,
            "recall": asdict(interval(ranking.recall[budget])),
            "trafficking": asdict(interval(on_trafficking.recall[budget])),
        }
        rows.append(row | _alarms(judged.risks, harmful, weights, threshold, row["recall"]["value"], setting))
    review = setting.policy.review
    row = {
        "budget": None,
        "threshold": review,
        "recall": asdict(share(judged.risks >= review, harmful, weights)),
        "trafficking": asdict(share(judged.risks >= review, trafficking, weights)),
    }
    rows.append(row | _alarms(judged.risks, harmful, weights, review, row["recall"]["value"], setting))
    return rows


def _alarms(
    risks: Array, harmful: Array, weights: Array, threshold: float, recall: float | None, setting: Setting
) -> Figures:
    """How many honest texts are flagged from a threshold on, and what 10,000 messages would cost."""
    flagged = share(risks >= threshold, ~harmful, weights)
    cost = None
    if recall is not None and flagged.value is not None:
        harmful_in = 10_000 * setting.prevalence
        found = harmful_in * recall
        reviews = found + (10_000 - harmful_in) * flagged.value
        cost = {
            "reviews": round(reviews, 1),
            "harmful_found": round(found, 1),
            "harmful_missed": round(harmful_in - found, 1),
            "days": round(reviews / setting.reviews_per_day, 2),
        }
    return {
        "honest": int((~harmful).sum()),
        "honest_flagged": int((risks[~harmful] >= threshold).sum()),
        "honest_flagged_share": asdict(flagged),
        "per_10000": cost,
    }


def curves(judged: Judgement, labels: Sequence[str], weights: Array) -> Figures:
    """Precision by recall, at most 101 points, and the share of harmful texts by tenth of the risk, with intervals."""
    harmful = harmful_of(labels)
    result: Figures = {"precision_recall": [], "reliability": []}
    if harmful.any() and not harmful.all():
        # By rising recall: of the thresholds with the same recall, the first is then the one with fewest false alarms.
        precision, recall = (each[::-1] for each in precision_recall_curve(harmful, judged.risks)[:2])
        kept = sorted({int(np.abs(recall - each).argmin()) for each in np.linspace(0, 1, CURVE_POINTS)})
        result["precision_recall"] = [[round(float(recall[at]), 4), round(float(precision[at]), 4)] for at in kept]
    if judged.probabilities is not None:
        tenth = np.minimum((judged.risks * BINS).astype(int), BINS - 1)
        for at in range(BINS):
            mine = tenth == at
            if mine.any():
                observed = asdict(share(harmful, mine, weights))
                said = round(float(judged.risks[mine].mean()), 4)
                result["reliability"].append({"risk": said, "messages": int(mine.sum()), "harmful": observed})
    return result


def worst_errors(
    judged: Judgement, texts: Sequence[str], labels: Sequence[str], groups: Sequence[int], count: int = 20
) -> dict[str, list[Figures]]:
    """The riskiest honest and the least risky harmful texts, one of each group of near-duplicates, to be read."""
    harmful = harmful_of(labels)
    result = {}
    for side, mine, sign in (("honest", ~harmful, -1), ("harmful", harmful, 1)):
        order = [int(at) for at in np.argsort(sign * judged.risks, kind="stable") if mine[at]]
        first: dict[int, int] = {}
        for at in order:
            first.setdefault(groups[at], at)
        result[side] = [
            {
                "risk": round(float(judged.risks[at]), 4),
                "label": labels[at],
                "predicted": None if judged.labels is None else judged.labels[at],
                "text": texts[at],
            }
            for at in list(first.values())[:count]
        ]
    return result
