"""Judge a bundle on labelled messages from elsewhere and on the challenge sets, beside a baseline.

python -m train evaluate models/ruthan-e5s --on real_sms.jsonl --challenge data/challenge
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ruthan.evidence.indicators import find_indicators
from ruthan.model.bundle import read_bundle
from ruthan.policy import Policy, default_policy, read_policy
from ruthan.scanner import Scanner
from ruthan.taxonomy import BENIGN, default_taxonomy
from ruthan.text.normalize import normalize
from train.baseline import baseline_predictions, fit_baseline
from train.config import TrainConfig
from train.corpus.challenge import SEED, ChallengeRecord, read_challenges
from train.corpus.near_duplicates import text_digest
from train.corpus.records import corpus_digest, read_corpus, read_lines
from train.corpus.splits import read_digests, split_corpus
from train.errors import CorpusError
from train.export import finish_bundle
from train.metrics import class_table, risk_metrics
from train.run import training_passes
from train.slots import prepare

# Risks and labels of texts.
Judge = Callable[[Sequence[str]], tuple[list[float], list[str]]]

MASK = "ลิงก์"  # stands for every link where links are masked


def read_labelled(
    path: Path, assume: str | None = None, held_out: frozenset[str] | None = None
) -> tuple[list[str], list[str], int]:
    """Texts and labels of a JSON lines file with `text` and `label`, and how many lines were left without a label.

    `assume` is the label of lines that lack the field; a null label leaves a line out. With `held_out`, only texts
    with those digests are read.

    :raises CorpusError: a line is no JSON, has no text, or its label is unknown.
    """
    labels_known = default_taxonomy().labels
    texts: list[str] = []
    labels: list[str] = []
    unlabelled = 0
    for place, content in read_lines([path]):
        text, label = content.get("text"), content.get("label", assume)
        if not isinstance(text, str) or ("label" not in content and assume is None):
            raise CorpusError(f"{place}: a line needs the fields text and label")
        if held_out is not None and text_digest(text) not in held_out:
            continue
        if label is None:
            unlabelled += 1
        elif label not in labels_known:
            raise CorpusError(f"{place}: unknown label {label!r}; known are: {', '.join(labels_known)}")
        else:
            texts.append(text)
            labels.append(label)
    if not texts:
        raise CorpusError(f"{path} holds no labelled message" + (" of those held out" if held_out is not None else ""))
    return texts, labels, unlabelled


class Evaluation:
    """A bundle and a baseline trained on the same texts, ready to be judged on any messages."""

    def __init__(self, folder: Path) -> None:
        """Load the bundle and train the baseline on what the bundle was trained on.

        :raises CorpusError: the corpus is no longer the one the bundle was trained on, or a source is missing.
        """
        scanner = Scanner(model=folder)
        training = scanner.classifier.info.training
        config = TrainConfig.from_dict(training["config"])
        records = read_corpus([Path(path) for path in config.corpus])
        if corpus_digest(records) != training["corpus_digest"]:
            raise CorpusError(f"{', '.join(config.corpus)} is not the corpus that {folder} was trained on; retrain")
        train = split_corpus(records, config.seed, config.split)["train"]
        baseline = fit_baseline(training_passes(train, config)[0], config.seed, config.disguised)
        self.judges: dict[str, Judge] = {
            "bundle": partial(_scan, scanner),
            "baseline": partial(baseline_predictions, baseline),
        }
        self.policy = read_policy(default_policy())

    def on_file(
        self, path: Path, about: str = "", assume: str | None = None, held_out: Path | None = None
    ) -> dict[str, Any]:
        """Metrics of both on a file, as it is and with links masked, overall and per class.

        `about` says what the messages are and where they come from; for the rest see `read_labelled`.

        :raises CorpusError: the file is malformed.
        """
        digests = read_digests(held_out) if held_out is not None else None
        texts, labels, unlabelled = read_labelled(path, assume, digests)
        notes = [about, f"Only texts listed in {held_out}." if held_out else ""]
        notes.append(f"{unlabelled} messages without a label are left out." if unlabelled else "")
        result: dict[str, Any] = {"note": " ".join(filter(None, notes)), "policy": asdict(self.policy)}
        masked = [mask_links(text) for text in texts]
        for name, judge in self.judges.items():
            risks, predicted = judge(texts)
            result[name] = _figures(risks, labels, self.policy)
            result[f"{name}, links masked"] = _figures(judge(masked)[0], labels, self.policy)
            table = class_table(labels, predicted, risks, result[name]["threshold"]["0.05"])
            result["classes" if name == "bundle" else "baseline_classes"] = [asdict(row) for row in table]
        return result

    def on_challenges(self, folder: Path) -> dict[str, Any]:
        """By challenge set: metrics of both, and which must-catch and must-pass texts went wrong.

        A set with disguised texts is measured clean and disguised; one with pairs also by how often the harmful text
        of a pair is the riskier one.

        :raises CorpusError: a set is malformed.
        """
        result: dict[str, Any] = {}
        for name, placed in read_challenges(folder).items():
            entries = [entry for _, entry in placed]
            texts = [prepare(entry.record.text, entry.record.id, SEED) for entry in entries]
            for judge_name, judge in self.judges.items():
                risks, _ = judge(texts)
                for part, chosen in _parts(name, entries).items():
                    figures = _figures(
                        [risks[at] for at in chosen], [entries[at].record.label for at in chosen], self.policy
                    )
                    figures["pairs_in_order"] = _pairs_in_order([entries[at] for at in chosen], risks, chosen)
                    figures["wrong"] = [
                        entries[at].record.id
                        for at in chosen
                        if (risks[at] >= self.policy.review) != (entries[at].record.label != BENIGN)
                    ]
                    result.setdefault(part, {})[judge_name] = figures
        return result


def _scan(scanner: Scanner, texts: Iterable[str]) -> tuple[list[float], list[str]]:
    verdicts = list(scanner.scan_many(texts))
    return [verdict.risk for verdict in verdicts], [verdict.label for verdict in verdicts]


def mask_links(text: str) -> str:
    """`text` with the word for link in place of every link."""
    pieces: list[str] = []
    at = 0
    for each in find_indicators(normalize(text), text):
        if each.type == "url" or "link" in each.details:  # a link into a chat app has the app's type
            pieces += [text[at : each.start], MASK]
            at = each.end
    return "".join([*pieces, text[at:]])


def _figures(risks: Sequence[float], labels: Sequence[str], policy: Policy) -> dict[str, Any]:
    """Risk metrics, and the shares of harmful and honest texts from the policy's risks on; None without such texts."""
    harmful = np.array([label != BENIGN for label in labels])
    risk = np.asarray(risks, float)
    figures = asdict(risk_metrics(risk, harmful))
    for action, threshold in (("review", policy.review), ("block", policy.block)):
        figures[action] = {
            side: float((risk[mine] >= threshold).mean()) if mine.any() else None
            for side, mine in (("harmful", harmful), ("honest", ~harmful))
        }
    return figures


def _parts(name: str, entries: Sequence[ChallengeRecord]) -> dict[str, list[int]]:
    """The parts in which a set is measured: all of it or, where texts are disguised, clean, by hand, and generated."""
    parts: dict[str, list[int]] = defaultdict(list)
    disguised = any(entry.disguise for entry in entries)
    for at, entry in enumerate(entries):
        how = {None: "clean", "by_hand": "disguised by hand"}.get(entry.disguise, "disguised by train/disguise.py")
        parts[f"{name}, {how}" if disguised else name].append(at)
    return dict(parts)


def _pairs_in_order(entries: Sequence[ChallengeRecord], risks: Sequence[float], places: Sequence[int]) -> float | None:
    """How often the harmful text of a pair has the higher risk, 0 to 1; None without pairs."""
    risk = {entry.record.id: risks[at] for entry, at in zip(entries, places, strict=True)}
    pairs = [
        risk[entry.record.id] > risk[entry.record.pair]
        for entry in entries
        if entry.record.label != BENIGN and entry.record.pair in risk
    ]
    return float(np.mean(pairs)) if pairs else None


def write_to_card(folder: Path, evaluations: dict[str, dict[str, Any]], challenges: dict[str, Any]) -> None:
    """Put evaluations into the bundle's metrics and its model card; those of the same name are replaced."""
    info = read_bundle(folder).info
    merged = {
        **info.metrics,
        "evaluations": {**info.metrics.get("evaluations", {}), **evaluations},
        "challenges": {**info.metrics.get("challenges", {}), **challenges},
    }
    finish_bundle(folder, replace(info, metrics=merged))
