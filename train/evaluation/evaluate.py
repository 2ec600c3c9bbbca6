"""A whole evaluation: every judge on every file and challenge set, in one run.

python -m train evaluate models/ruthan-e5s --on real_sms.jsonl --challenge data/challenge
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from logging import getLogger
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ruthan.model.bundle import read_bundle
from ruthan.policy import read_policy
from train.corpus.near_duplicates import clusters
from train.corpus.splits import read_digests
from train.evaluation.challenges import on_challenges
from train.evaluation.judges import Judgement, Panel, ask, bundle_alone
from train.evaluation.labelled import MASKINGS, Labelled, read_labelled
from train.evaluation.measure import (
    BUDGETS,
    Setting,
    against_classes,
    by_slice,
    class_rows,
    confusion,
    curves,
    harmful_of,
    overall,
    threshold_rows,
    worst_errors,
)
from train.evaluation.names import AS_IT_IS, AUTHORED, BUNDLE, REAL, UNSEEN_DOMAINS
from train.evaluation.resamples import RESAMPLES, SEED, Resamples
from train.evaluation.slices import slices_of
from train.export import finish_bundle

ALIKE = 0.5  # near-duplicates (Jaccard of 5-grams) that are drawn together

Array = npt.NDArray[Any]
_log = getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """A file to judge on.

    :param held_out: a list of digests of the texts to judge; None for all.
    :param about: what the messages are and where they come from.
    """

    path: Path
    held_out: Path | None = None
    about: str = ""


def evaluate(
    panel: Panel,
    files: Sequence[Judged],
    setting: Setting,
    assume: str | None = None,
    challenge: Path | None = None,
    every_class: bool = False,
    with_texts: bool = True,
) -> dict[str, Any]:
    """Everything that is measured, as plain values for JSON.

    `assume` is the label of lines that lack the field; with `every_class`, each class's own probability is measured
    against the other classes; `with_texts`, the worst errors are quoted.

    :raises CorpusError: a file or a challenge set is malformed.
    """
    # All files are read before the first is judged: a wrong line should not cost minutes.
    read = [
        read_labelled(file.path, assume, read_digests(file.held_out) if file.held_out is not None else None)
        for file in files
    ]
    result: dict[str, Any] = {
        "bundle": panel.info.name,
        "policy": asdict(setting.policy),
        "prevalence": setting.prevalence,
        "reviews_per_day": setting.reviews_per_day,
        "budgets": list(BUDGETS),
        "resamples": RESAMPLES,
        "seed": SEED,
        "judges": panel.about,
        "left_out": panel.left_out,
        "files": {},
        "challenges": {},
        "doubts": [],
    }
    for file, labelled in zip(files, read, strict=True):
        _log.info("judging %d texts of %s", len(labelled.texts), file.path.name)
        result["files"][file.path.name] = _on_file(panel, labelled, file, setting, every_class, with_texts)
    if challenge is not None:
        _log.info("judging the challenge sets in %s", challenge)
        result["challenges"] = on_challenges(challenge, panel.judges, setting.policy)
    return result


def _on_file(
    panel: Panel, labelled: Labelled, file: Judged, setting: Setting, every_class: bool, with_texts: bool
) -> dict[str, Any]:
    groups = clusters(labelled.texts, ALIKE)
    resamples = Resamples(groups)
    weights, labels = resamples.weights, labelled.labels
    slices = slices_of(labelled, panel.trained_domains)
    unseen = np.flatnonzero(np.array(slices["domain of links"]) == "not in training")
    masked = {name: [mask(text) for text in labelled.texts] for name, mask in MASKINGS.items()}
    judged: dict[str, Judgement] = {}
    variants: dict[str, dict[str, Any]] = {}
    for name, judge in panel.judges.items():
        once = name in (AUTHORED, REAL)  # what the origin of the training texts is worth shows on texts as they are
        shown = {AS_IT_IS: labelled.texts} if once else masked
        opinions = dict(zip(shown, ask(judge, list(shown.values())), strict=True))
        judged[name] = opinions[AS_IT_IS]
        variants[name] = {
            variant: overall(opinion, labels, weights, setting.policy) for variant, opinion in opinions.items()
        }
        some = [labels[at] for at in unseen]
        variants[name][UNSEEN_DOMAINS] = overall(judged[name].of(unseen), some, weights[:, unseen], setting.policy)
    seen = sum(digest in panel.trained_digests for digest in labelled.digests)
    notes = [file.about, f"Only texts listed in {file.held_out}." if file.held_out is not None else ""]
    notes.append(f"{labelled.unlabelled} messages without a label are left out." if labelled.unlabelled else "")
    notes.append(f"{seen} of the texts are among those the bundle was trained on." if seen else "")
    return {
        "note": " ".join(filter(None, notes)),
        "messages": len(labels),
        "harmful": int(harmful_of(labels).sum()),
        "groups": resamples.groups,
        "seen_in_training": seen,
        "judges": variants,
        "classes": {name: class_rows(each, labels, weights) for name, each in judged.items()},
        "thresholds": {name: threshold_rows(each, labels, weights, setting) for name, each in judged.items()},
        "slices": by_slice(judged, labels, slices, weights, setting.policy),
        "confusion": {name: confusion(each, labels) for name, each in judged.items()},
        "curves": {name: curves(each, labels, weights) for name, each in judged.items()},
        "against_classes": {
            name: against_classes(each, labels, weights) for name, each in judged.items() if every_class
        },
        "errors": worst_errors(judged[BUNDLE], labelled.texts, labels, groups) if with_texts else None,
    }


def for_card(result: dict[str, Any]) -> dict[str, Any]:
    """What of an evaluation goes into the bundle: figures only, no curves, no texts."""
    kept = ("messages", "harmful", "auc", "recall", "review", "block", "pairs_in_order")

    def small(figures: dict[str, Any]) -> dict[str, Any]:
        return {key: figures[key] for key in kept if key in figures}

    files = {
        name: {
            **{key: file[key] for key in ("note", "messages", "harmful", "groups")},
            "judges": {judge: small(variants[AS_IT_IS]) for judge, variants in file["judges"].items()},
            "variants": {variant: small(figures) for variant, figures in file["judges"][BUNDLE].items()},
            "classes": file["classes"][BUNDLE],
        }
        for name, file in result["files"].items()
    }
    challenges = {
        name: {judge: small(figures) for judge, figures in part.items()}
        for name, part in result["challenges"].get("parts", {}).items()
    }
    parts = result["challenges"].get("parts", {})
    wrong = {name: parts[name][BUNDLE]["wrong"] for name in ("must_catch", "must_pass") if name in parts}
    settings = {key: result[key] for key in ("policy", "resamples", "judges")}
    return {**settings, "files": files, "challenges": challenges, "wrong": wrong}


def write_to_card(folder: Path, result: dict[str, Any]) -> None:
    """Put an evaluation into the bundle's metrics and its model card, in place of the one before."""
    info = read_bundle(folder).info
    # Until 2026-11 each file was put into the metrics by itself, of whatever run.
    kept = {key: value for key, value in info.metrics.items() if key not in ("evaluations", "challenges")}
    finish_bundle(folder, replace(info, metrics={**kept, "evaluation": for_card(result)}))


def evaluate_run(folder: Path) -> dict[str, Any]:
    """What a finished run is worth on the corpus texts that it kept for that, by the policy that it chose."""
    about = "Messages of the corpus that the run kept for a first judgement."
    return evaluate(
        bundle_alone(folder / "bundle"),
        [Judged(folder / "test.jsonl", about=about)],
        Setting(policy=read_policy(folder / "policy.yaml")),
    )
