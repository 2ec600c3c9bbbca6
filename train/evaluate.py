"""Judge a bundle on labelled messages from elsewhere, beside a baseline trained on the same corpus.

python -m train evaluate models/ruthan-e5s --on real_sms.jsonl
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ruthan.model.bundle import read_bundle
from ruthan.scanner import Scanner
from ruthan.taxonomy import BENIGN, default_taxonomy
from train.baseline import baseline_predictions, fit_baseline
from train.config import TrainConfig
from train.corpus import corpus_digest, read_corpus, split_corpus
from train.errors import CorpusError
from train.export import finish_bundle
from train.metrics import class_table, risk_metrics


def read_labelled(path: Path) -> tuple[list[str], list[str], int]:
    """Texts and labels of a JSON lines file with `text` and `label`, and how many lines have no label.

    :raises CorpusError: a line is no JSON, or its label is unknown.
    """
    labels_known = default_taxonomy().labels
    texts: list[str] = []
    labels: list[str] = []
    unlabelled = 0
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise CorpusError(f"cannot read {path}: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            content: Any = json.loads(line)
            text, label = content["text"], content["label"]
        except (ValueError, KeyError, TypeError) as error:
            raise CorpusError(f"{path}:{number}: a line needs the fields text and label ({error})") from error
        if label is None:
            unlabelled += 1
        elif label not in labels_known:
            raise CorpusError(f"{path}:{number}: unknown label {label!r}; known are: {', '.join(labels_known)}")
        else:
            texts.append(text)
            labels.append(label)
    if not texts:
        raise CorpusError(f"{path} holds no labelled message")
    return texts, labels, unlabelled


def evaluate(folder: Path, files: Sequence[Path], about: str = "") -> dict[str, dict[str, Any]]:
    """By file name: metrics of the bundle and of the baseline, overall and per class.

    The baseline is trained on the training part that the bundle was trained on. `about` says in the card what the
    messages are and where they come from.

    :raises CorpusError: a file is malformed, or the corpus is no longer the one the bundle was trained on.
    """
    scanner = Scanner(model=folder)
    training = scanner.classifier.info.training
    config = TrainConfig.from_dict(training["config"])
    records = read_corpus([Path(path) for path in config.corpus])
    if corpus_digest(records) != training["corpus_digest"]:
        raise CorpusError(f"{', '.join(config.corpus)} is not the corpus that {folder} was trained on; retrain first")
    baseline = fit_baseline(split_corpus(records, config.seed, config.split)["train"], config.seed)
    return {path.name: _evaluate(scanner, baseline, path, about) for path in files}


def _evaluate(scanner: Scanner, baseline: Any, path: Path, about: str) -> dict[str, Any]:
    texts, labels, unlabelled = read_labelled(path)
    harmful = [label != BENIGN for label in labels]
    verdicts = list(scanner.scan_many(texts))
    ours = [verdict.risk for verdict in verdicts], [verdict.label for verdict in verdicts]
    theirs = baseline_predictions(baseline, texts)
    left_out = f"{unlabelled} messages without a label are left out." if unlabelled else ""
    result: dict[str, Any] = {"note": f"{about} {left_out}".strip()}
    for name, classes, (risks, predicted) in (
        ("bundle", "classes", ours),
        ("baseline", "baseline_classes", theirs),
    ):
        metrics = risk_metrics(risks, harmful)
        result[name] = asdict(metrics)
        table = class_table(labels, predicted, risks, metrics.threshold["0.05"])
        result[classes] = [asdict(row) for row in table]
    return result


def write_to_card(folder: Path, evaluations: dict[str, dict[str, Any]]) -> None:
    """Put evaluations into the bundle's metrics and its model card."""
    info = read_bundle(folder).info
    merged = {**info.metrics, "evaluations": {**info.metrics.get("evaluations", {}), **evaluations}}
    finish_bundle(folder, replace(info, metrics=merged))
