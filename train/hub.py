"""A trained network as a folder to publish on a model hub, and to train further without loss.

config.json, model.safetensors    the encoder, as `transformers` reads it
tokenizer.json …                  its tokenizer
head.safetensors                  standardisation and linear layer, see `train.network`
onnx/                             the bundle, in 8 bits, for `ruthan scan --model`
README.md                         the model card, with the hub's header

huggingface-cli upload OWNER/NAME runs/<name>/hub
"""

import re
import shutil
from pathlib import Path

import yaml
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerBase

from ruthan.model.bundle import CARD, read_bundle
from train.config import OFFLINE
from train.errors import BackboneError
from train.network import MessageClassifier, load_backbone

HEAD, ONNX = "head.safetensors", "onnx"
_PARTS = ("feature_mean", "feature_scale", "head.weight", "head.bias")


def write_hub_folder(
    network: MessageClassifier, tokenizer: PreTrainedTokenizerBase, bundle: Path, folder: Path
) -> None:
    """Write the network, and beside it the finished bundle that was made of it, to an empty `folder`."""
    info = read_bundle(bundle).info
    config = network.encoder.config
    config.id2label = dict(enumerate(info.labels))
    config.label2id = {label: at for at, label in enumerate(info.labels)}
    network.encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    state = network.state_dict()
    save_file({name: state[name].contiguous() for name in _PARTS}, folder / HEAD)
    shutil.copytree(bundle, folder / ONNX)
    backbone = info.training["config"]["backbone"]
    header = {
        "license": info.licence.lower() if re.fullmatch(r"[A-Za-z0-9.-]+", info.licence) else "other",
        "language": ["th", "en", "lo", "km", "my", "vi", "zh"],
        "base_model": "intfloat/multilingual-e5-small" if backbone == OFFLINE else backbone,
        "pipeline_tag": "text-classification",
        "library_name": "transformers",
        "tags": ["scam-detection", "human-trafficking", "thai", "onnx"],
    }
    text = (bundle / CARD).read_text(encoding="utf-8")
    (folder / CARD).write_text(f"---\n{yaml.safe_dump(header, sort_keys=False)}---\n\n{text}", encoding="utf-8")


def is_hub_folder(folder: Path) -> bool:
    """Whether `write_hub_folder` wrote it."""
    return (folder / HEAD).is_file()


def read_hub_folder(folder: Path, dropout: float = 0.0) -> tuple[MessageClassifier, PreTrainedTokenizerBase]:
    """The network, in evaluation mode, and its tokenizer.

    :raises BackboneError: a file is missing or damaged.
    """
    encoder, tokenizer = load_backbone(folder)
    try:
        head = load_file(folder / HEAD)
        network = MessageClassifier(encoder, len(head["head.bias"]), dropout)
        missing, unexpected = network.load_state_dict(head, strict=False)
    except Exception as error:  # safetensors raises plain Exception
        raise BackboneError(f"{folder / HEAD} is damaged; restore it from where it came") from error
    if unexpected or any(not name.startswith("encoder.") for name in missing):
        raise BackboneError(f"{folder / HEAD} is damaged, tensors are missing; restore it from where it came")
    return network.eval(), tokenizer
