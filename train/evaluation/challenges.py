"""Judge the challenge sets: by part, pair by pair, and clean against disguised."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ruthan.policy import Policy
from ruthan.taxonomy import BENIGN
from train.corpus.challenge import SEED, ChallengeRecord, read_challenges
from train.corpus.splits import groups
from train.evaluation.judges import Judge, Judgement, ask
from train.evaluation.measure import Figures, action_shares, harmful_of, overall
from train.evaluation.resamples import Resamples, interval, share
from train.metrics import weighted_ranking
from train.slots import prepare

CLEAN, BY_HAND, GENERATED = "clean", "disguised by hand", "disguised by train/disguise.py"

Array = npt.NDArray[Any]


def on_challenges(folder: Path, judges: Mapping[str, Judge], policy: Policy) -> dict[str, Any]:
    """Figures by part of a challenge set and by judge (`parts`), and of sets with disguised texts what disguise costs
    (`robustness`) and how many lures of each technique are seen (`techniques`).

    A set with disguised texts is measured in three parts; one with pairs also by how often the harmful text of a pair
    is the riskier one. Draws take whole families and pairs.

    :raises CorpusError: a set is malformed.
    """
    sets = {name: [entry for _, entry in placed] for name, placed in read_challenges(folder).items()}
    texts = [[prepare(each.record.text, each.record.id, SEED) for each in entries] for entries in sets.values()]
    result: dict[str, Any] = {"parts": {}, "robustness": {}, "techniques": {}}
    for judge_name, judge in judges.items():
        for (name, entries), judged in zip(sets.items(), ask(judge, texts), strict=True):
            tied = groups([entry.record for entry in entries])
            weights = Resamples([tied[entry.record.family] for entry in entries]).weights
            for part, chosen in parts_of(name, entries).items():
                figures = _part(judged.of(chosen), [entries[at] for at in chosen], weights[:, chosen], policy)
                result["parts"].setdefault(part, {})[judge_name] = figures
            if any(entry.disguise for entry in entries):
                result["robustness"].setdefault(name, {})[judge_name] = robustness(judged, entries, weights, policy)
                result["techniques"].setdefault(name, {})[judge_name] = _techniques(judged, entries, weights, policy)
    return result


def _how(entry: ChallengeRecord) -> str:
    return {None: CLEAN, "by_hand": BY_HAND}.get(entry.disguise, GENERATED)


def parts_of(name: str, entries: Sequence[ChallengeRecord]) -> dict[str, Array]:
    """The parts in which a set is measured: all of it or, where texts are disguised, clean, by hand, and generated."""
    parts: dict[str, list[int]] = defaultdict(list)
    disguised = any(entry.disguise for entry in entries)
    for at, entry in enumerate(entries):
        parts[f"{name}, {_how(entry)}" if disguised else name].append(at)
    return {part: np.array(chosen) for part, chosen in parts.items()}


def _part(judged: Judgement, entries: Sequence[ChallengeRecord], weights: Array, policy: Policy) -> Figures:
    labels = [entry.record.label for entry in entries]
    wrong = (judged.risks >= policy.review) != harmful_of(labels)
    return {
        **overall(judged, labels, weights, policy),
        "pairs_in_order": asdict(pairs_in_order(judged.risks, entries, weights)),
        "wrong": [entry.record.id for entry, failed in zip(entries, wrong, strict=True) if failed],
    }


def pairs_in_order(risks: Array, entries: Sequence[ChallengeRecord], weights: Array) -> Any:
    """How often the harmful text of a pair has the higher risk, 0 to 1; None without pairs of a harmful and an honest
    text.
    """
    place = {entry.record.id: at for at, entry in enumerate(entries)}
    in_order, paired = np.zeros(len(entries), bool), np.zeros(len(entries), bool)
    for at, entry in enumerate(entries):
        other = place.get(entry.record.pair or "")
        if other is not None and entry.record.label != BENIGN and entries[other].record.label == BENIGN:
            paired[at], in_order[at] = True, risks[at] > risks[other]
    return share(in_order, paired, weights)


def robustness(judged: Judgement, entries: Sequence[ChallengeRecord], weights: Array, policy: Policy) -> Figures:
    """What disguise costs, by hand and generated: the AUC, its loss against the clean texts in points of 100, the share
    of lures seen (at or above review), and of those seen clean the share still seen (`still_seen`).

    Clean and disguised texts are drawn together, so the interval of the loss is that of a paired comparison.
    """
    harmful = harmful_of([entry.record.label for entry in entries])
    how = np.array([_how(entry) for entry in entries])
    clean = {entry.record.family: at for at, entry in enumerate(entries) if not entry.disguise}
    original = np.array([clean.get(entry.record.family, at) for at, entry in enumerate(entries)])
    seen = judged.risks >= policy.review
    auc = {}
    for part in (CLEAN, BY_HAND, GENERATED):
        chosen = np.flatnonzero(how == part)
        auc[part] = weighted_ranking(judged.risks[chosen], harmful[chosen], weights[:, chosen], ()).auc
    result: Figures = {CLEAN: {"auc": asdict(interval(auc[CLEAN]))}}
    result[CLEAN]["seen"] = asdict(share(seen, harmful & (how == CLEAN), weights))
    for part in (BY_HAND, GENERATED):
        lures = harmful & (how == part)
        result[part] = {
            "auc": asdict(interval(auc[part])),
            "loss": asdict(interval(100 * (auc[CLEAN] - auc[part]))),
            "seen": asdict(share(seen, lures, weights)),
            "still_seen": asdict(share(seen, lures & seen[original], weights)),
        }
    return result


def _techniques(judged: Judgement, entries: Sequence[ChallengeRecord], weights: Array, policy: Policy) -> Figures:
    """By technique of disguise, the shares that go to review."""
    harmful = harmful_of([entry.record.label for entry in entries])
    technique = np.array([entry.disguise or CLEAN for entry in entries])
    result: Figures = {}
    for name in sorted(set(technique)):
        chosen = np.flatnonzero(technique == name)
        shares = action_shares(judged.risks[chosen], harmful[chosen], weights[:, chosen], policy)
        result[str(name)] = {"messages": len(chosen), "harmful": int(harmful[chosen].sum()), "review": shares["review"]}
    return result
