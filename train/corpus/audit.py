"""Rank the records that are most likely labelled wrongly, and the texts that are most alike, for a person to review.

python -m train.corpus audit
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_self_confidence_for_each_label
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline

from train.corpus.near_duplicates import near_duplicates
from train.corpus.records import Record, read_with_places
from train.corpus.splits import groups
from train.errors import CorpusError
from train.slots import prepare

SEED = 17
FOLDS = 5
ALIKE = 0.35  # below what `check` refuses


@dataclass(frozen=True)
class Doubt:
    """A label to look at again: where, which record, what a model that has not seen it would say, and how sure.

    `confidence` is the model's probability, 0 to 1, of the label that was given; the lower, the more doubtful.
    """

    place: str
    record: Record
    suggested: str
    confidence: float


@dataclass(frozen=True)
class Alike:
    """Two records of different groups whose texts are alike, and how much (Jaccard of 5-grams, 0 to 1)."""

    places: tuple[str, str]
    records: tuple[Record, Record]
    similarity: float


def doubtful_labels(paths: Iterable[Path]) -> list[Doubt]:
    """Probable label errors by confident learning (Northcutt et al., 2021), the least credible first.

    The model is linear over character n-grams, each record judged by one that was trained without its family and pair.
    """
    placed = read_with_places(paths)
    records = [record for _, record in placed]
    family = groups(records)
    texts = [prepare(record.text, record.id, SEED) for record in records]
    labels, classes = np.unique([record.label for record in records], return_inverse=True)
    groups_of = {label: {family[record.family] for record in records if record.label == label} for label in labels}
    if len(labels) < 2 or min(map(len, groups_of.values())) < FOLDS:
        raise CorpusError(f"too few records to audit: at least two labels with {FOLDS} families each are needed")
    probabilities = cross_val_predict(
        _model(),
        texts,
        classes,
        groups=[family[record.family] for record in records],
        cv=StratifiedGroupKFold(FOLDS),
        method="predict_proba",
    )
    issues = find_label_issues(
        classes, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1, filter_by="prune_by_noise_rate"
    )
    confidence = get_self_confidence_for_each_label(classes, probabilities)
    return [
        Doubt(placed[at][0], records[at], str(labels[probabilities[at].argmax()]), float(confidence[at]))
        for at in issues
        if probabilities[at].argmax() != classes[at]
    ]


def doubtful_rows(paths: Iterable[Path], most: int, texts: bool = False) -> list[dict[str, Any]]:
    """The `most` most doubtful labels as plain rows: `place`, `id`, `label`, `suggested` and `confidence`, 0 to 1.

    With `texts` also the `text`.
    """
    return [
        {
            "place": doubt.place,
            "id": doubt.record.id,
            "label": doubt.record.label,
            "suggested": doubt.suggested,
            "confidence": round(doubt.confidence, 4),
            **({"text": doubt.record.text} if texts else {}),
        }
        for doubt in doubtful_labels(paths)[:most]
    ]


def _model() -> Pipeline:
    """Quicker to fit than the baseline of `train.baseline`, which takes minutes for five folds."""
    return make_pipeline(
        TfidfVectorizer(analyzer="char", ngram_range=(2, 5), min_df=3, sublinear_tf=True, max_features=100_000),
        SGDClassifier(loss="log_loss", alpha=2e-6, class_weight="balanced", random_state=SEED),
    )


def alike_texts(paths: Iterable[Path]) -> list[Alike]:
    """Texts of different groups that are alike without being near enough for `check` to refuse, the nearest first."""
    placed = read_with_places(paths)
    family = groups([record for _, record in placed])
    found = [
        Alike((placed[one][0], placed[other][0]), (placed[one][1], placed[other][1]), similarity)
        for one, other, similarity in near_duplicates((record.text for _, record in placed), ALIKE)
        if family[placed[one][1].family] != family[placed[other][1].family]
    ]
    return sorted(found, key=lambda each: -each.similarity)
