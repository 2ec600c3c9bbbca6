"""A whole training run: texts, fine-tuning, calibration, first figures, export.

python -m train run train/configs/smoke.yaml
"""

import csv
import json
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml
from accelerate import PartialState
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from ruthan.model.bundle import Bundle, BundleInfo
from ruthan.model.classifier import Classifier, Prediction, softmax
from ruthan.taxonomy import BENIGN, default_taxonomy
from ruthan.text.normalize import NORMALIZER_VERSION
from train.backbone import build_backbone
from train.batches import predict_logits, tokenized
from train.calibrate import fit_calibration
from train.config import OFFLINE, TrainConfig
from train.corpus.records import Record, corpus_digest, record_line
from train.distil import ask_teachers
from train.errors import CorpusError, ExportError
from train.export import finish_bundle, measure_drift, write_model_files
from train.finetune import finetune, starting_network
from train.hub import write_hub_folder
from train.metrics import summary
from train.network import MessageClassifier
from train.operating_points import choose_points, write_policy
from train.parts import Parts, read_parts
from train.provenance import (
    attribution,
    check_lineage,
    data_digests,
    environment,
    learned_from,
    licence,
    training_state,
)
from train.slots import prepare
from train.tracking import Tracker, tracked

BUNDLE, FLOAT_BUNDLE, HUB = "bundle", "bundle-float", "hub"
OUTPUTS = (BUNDLE, FLOAT_BUNDLE, HUB, "evaluation", "metrics.json", "policy.yaml", "confusion.csv", "test.jsonl")
TRACKED = ("auc", "f1_harmful", "f1_macro", "calibration_error")
HARMFUL_SHARE = 0.05  # of the messages in use, for the policy; most are honest, and nobody has counted them
WINDOW_OVERLAP_SHARE = 0.25
LONGEST_WAIT = timedelta(hours=6)  # of other processes for the one that asks the teachers

Array = npt.NDArray[Any]


def run(config: TrainConfig, folder: Path) -> Path | None:
    """Carry out a run in `folder` and return the folder of the finished bundle, `folder/bundle`; of several processes
    only the first writes, and the others return None.

    A run that was killed goes on from its last checkpoint, or after training, if all that its network hangs on is
    still the same. What it leaves, besides: `config.yaml`, `data.json` (digests of every file of texts),
    `environment.json`, `curves.json`, `model.safetensors` (float weights), `policy.yaml`, `metrics.json`,
    `confusion.csv`, `test.jsonl` (texts of the corpus that it was not trained on), `bundle-float` (the bundle in 32
    bits), and `hub`, a folder to publish and to train further.

    :raises TrainError: a record breaks a rule, a class has no text, a backbone or a model cannot be loaded, or the
        bundle would drift; nothing that looks like a finished bundle is left behind.
    """
    check_lineage(config, folder)
    parts = read_parts(config)
    _check_classes(parts, config)
    processes = PartialState(cpu=not torch.cuda.is_available(), timeout=LONGEST_WAIT)  # several under torchrun
    folder.mkdir(parents=True, exist_ok=True)
    with tracked(config.tracking and processes.is_main_process, config.name, folder.parent / "mlflow") as tracker:
        tracker.settings(config.to_dict())
        trained = _trained(parts, config, folder, tracker, processes)
        if trained is None:
            return None
        network, tokenizer, minutes = trained
        float_parts, temperature = _calibrated(network, tokenizer, parts, config)
        figures = _export(network, tokenizer, float_parts, temperature, parts, config, folder, minutes)
        tracker.figures({f"test_{name}": figures[name] for name in TRACKED} | {"minutes": minutes})
    return folder / BUNDLE


def _check_classes(parts: Parts, config: TrainConfig) -> None:
    """:raises CorpusError: a class has no training text, in a run that starts anew and is no trial on a few texts."""
    if config.start is not None or config.limit is not None:
        return
    seen = {record.label for record in parts.passes[0]}
    if absent := [label for label in default_taxonomy().labels if label not in seen]:
        raise CorpusError(
            f"no training text is labelled {', '.join(absent)}; add some (python -m train.corpus add), or go on from a "
            "model that knows the class (start: models/ruthan-e5s)"
        )


def _trained(
    parts: Parts, config: TrainConfig, folder: Path, tracker: Tracker, processes: PartialState
) -> tuple[MessageClassifier, PreTrainedTokenizerBase, float] | None:
    """The trained network, its tokenizer and the minutes it took: from `folder` if it is there, else trained now. None
    in all processes but the first.
    """
    labels = default_taxonomy().labels
    backbone: str | Path = folder / "backbone" if config.backbone == OFFLINE else config.backbone
    weights, mark, begun = folder / "model.safetensors", folder / "trained.json", folder / "begun.json"
    state = training_state(parts, config)
    with processes.main_process_first():
        if processes.is_main_process and _read_json(begun).get("state") != state:
            begun.unlink(missing_ok=True)  # what is there is of another run, and half of it may soon be gone
            mark.unlink(missing_ok=True)
            for name in ("trainer", *OUTPUTS):
                _remove(folder / name)
            if config.backbone == OFFLINE and config.start is None:
                build_backbone(folder / "backbone", (record.text for record in parts.corpus))
            _write_json(begun, {"state": state})
        if processes.is_main_process:
            (folder / "config.yaml").write_text(yaml.safe_dump(config.to_dict(), allow_unicode=True), encoding="utf-8")
            _write_json(folder / "data.json", data_digests(config))
            _write_json(folder / "environment.json", environment())
        done = _read_json(mark)
        lessons = (
            ask_teachers(config.teachers, parts.trained_on(), config.max_length, config.seed, folder / "lessons.npz")
            if config.teachers and not done
            else None
        )
    if done:
        network, tokenizer = starting_network(config, len(labels), backbone)
        network.load_state_dict(load_file(weights))
        return (network.eval(), tokenizer, done["minutes"]) if processes.is_main_process else None
    network, tokenizer, minutes = finetune(parts, labels, config, backbone, folder / "trainer", lessons, tracker)
    if not processes.is_main_process:
        return None
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, weights)
    _write_json(mark, {"minutes": minutes})  # last: it says that the weights are whole
    return network, tokenizer, minutes


@dataclass(frozen=True)
class _Part:
    """Records kept out of training, and the calibrated probabilities that they get, (records, classes)."""

    records: list[Record]
    probabilities: Array

    def summary(self) -> dict[str, Any]:
        return summary([record.label for record in self.records], self.probabilities, default_taxonomy().labels)


def _calibrated(
    network: MessageClassifier, tokenizer: PreTrainedTokenizerBase, parts: Parts, config: TrainConfig
) -> tuple[dict[str, _Part], float]:
    """The parts as the float network sees their first windows, and the temperature; the offset of benign becomes part
    of the network's head.
    """
    labels = default_taxonomy().labels
    benign = labels.index(BENIGN)
    records = {"calibration": parts.calibration, "test": parts.test}
    logits = {
        name: predict_logits(network, tokenized(part, labels, tokenizer, config.max_length, config.seed), tokenizer)
        for name, part in records.items()
    }
    classes = np.array([labels.index(record.label) for record in parts.calibration])
    found = fit_calibration(logits["calibration"], classes, benign, np.array(parts.calibration_weights))
    with torch.no_grad():
        network.head.bias[benign] += found.benign_offset
    for each in logits.values():
        each[:, benign] += found.benign_offset
    parts_seen = {name: _Part(part, softmax(logits[name], found.temperature)) for name, part in records.items()}
    return parts_seen, found.temperature


def _export(
    network: MessageClassifier,
    tokenizer: PreTrainedTokenizerBase,
    float_parts: Mapping[str, _Part],
    temperature: float,
    parts: Parts,
    config: TrainConfig,
    folder: Path,
    minutes: float,
) -> dict[str, Any]:
    """Write both bundles and the folder for the hub, each under its name only when it is whole, and the figures of the
    8-bit bundle, read as users read it. Returns those on the test part.

    :raises ExportError: the 8-bit network says other than the float one.
    """
    drafts = {name: folder / f"{name}.partial" for name in (BUNDLE, FLOAT_BUNDLE, HUB)}
    for draft in drafts.values():
        _remove(draft)
        draft.mkdir()
    write_model_files(network, tokenizer, drafts[BUNDLE], drafts[FLOAT_BUNDLE], fine=not config.round_activations)
    info = _bundle_info(network, parts, config, temperature)
    classifier = Classifier(Bundle(drafts[BUNDLE], info))
    predictions: list[Prediction] = []
    judged: dict[str, _Part] = {}
    for name, part in float_parts.items():
        mine = classifier.classify([prepare(record.text, record.id, config.seed) for record in part.records])
        judged[name] = _Part(part.records, np.stack([each.probabilities for each in mine]))
        predictions += mine
    drift = measure_drift(
        predictions,
        np.concatenate([part.probabilities for part in float_parts.values()]),
        [record.label for part in float_parts.values() for record in part.records],
    )
    if drift.largest > config.max_drift or drift.f1_loss > config.max_f1_loss:
        raise ExportError(
            f"the 8-bit network drifts from the float one: largest difference {drift.largest:.3f} (bound "
            f"{config.max_drift}), F1 loss {drift.f1_loss:.4f} (bound {config.max_f1_loss}); no bundle was written"
        )
    figures = {name: part.summary() for name, part in judged.items()}
    metrics = {"held_out": figures["test"], "drift": asdict(drift), "minutes": minutes}
    finished = replace(info, thresholds=figures["calibration"]["threshold"], metrics=metrics)
    finish_bundle(drafts[BUNDLE], finished)
    finish_bundle(drafts[FLOAT_BUNDLE], replace(finished, name=f"{info.name}-float"))
    write_hub_folder(network, tokenizer, drafts[BUNDLE], drafts[HUB])
    _write_policy(folder / "policy.yaml", judged["calibration"], config.name)
    _write_confusion(folder / "confusion.csv", figures["test"])
    (folder / "test.jsonl").write_text("".join(map(record_line, parts.test)), encoding="utf-8")
    _write_json(folder / "metrics.json", {**figures, "drift": asdict(drift)})
    for name in (FLOAT_BUNDLE, HUB, BUNDLE):
        _remove(folder / name)
        drafts[name].rename(folder / name)
    return figures["test"]


def _bundle_info(network: MessageClassifier, parts: Parts, config: TrainConfig, temperature: float) -> BundleInfo:
    counts = {"train": len(parts.passes[0]), "calibration": len(parts.calibration), "test": len(parts.test)}
    return BundleInfo(
        name=config.name,
        labels=default_taxonomy().labels,
        temperature=temperature,
        window_tokens=config.max_length,
        window_overlap=int(config.max_length * WINDOW_OVERLAP_SHARE),
        normalizer=NORMALIZER_VERSION,
        thresholds={},
        training={
            "corpus_digest": corpus_digest(parts.corpus),
            "records": counts,
            "trained_on": dict(Counter(record.origin for record in parts.passes[0])),
            "learned_from": learned_from(config),
            "architecture": network.encoder.config.model_type,
            "config": config.to_dict(),
        },
        metrics={},
        licence=licence(config),
        attribution=attribution(config),
        files={},
    )


def _write_policy(path: Path, calibration: _Part, name: str) -> None:
    points = choose_points(
        1 - calibration.probabilities[:, default_taxonomy().labels.index(BENIGN)],
        [record.label for record in calibration.records],
        [record.channel for record in calibration.records],
        harmful_share=HARMFUL_SHARE,
    )
    write_policy(path, points, name)


def _write_confusion(path: Path, figures: Mapping[str, Any]) -> None:
    """Write the confusion matrix of `train.metrics.summary` as CSV, true classes down, predicted ones across."""
    labels = figures["labels"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *labels])
        writer.writerows([label, *row] for label, row in zip(labels, figures["confusion"], strict=True))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _read_json(path: Path) -> dict[str, Any]:
    """What a file says, or nothing if it is not there or was not written to its end."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    partial.replace(path)
