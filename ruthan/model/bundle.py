"""A model bundle: the folder that carries a trained model from `train` to whoever scans.

    model.onnx       the network, weights in 8 bits
    tokenizer.json   its tokenizer
    README.md        the model card
    bundle.json      what the others are: labels, calibration, versions, digests; written last

Nothing in a bundle is executable and nothing is pickled. A bundle whose parts do not fit is refused.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from reprlib import repr as shown  # in one line, and cut where it is long or deep
from typing import Any

from ruthan.errors import BundleError
from ruthan.resources import shipped
from ruthan.taxonomy import BENIGN, default_taxonomy
from ruthan.text.normalize import NORMALIZER_VERSION

FORMAT_VERSION = 2  # 2: the network also says what each token contributes
MODEL, TOKENIZER, CARD, INFO = "model.onnx", "tokenizer.json", "README.md", "bundle.json"
DEFAULT_NAME = "ruthan-e5s"  # the folder in models/ that ships
LONGEST_WINDOW = 512  # the positions of the BERT-like networks that bundles hold


@dataclass(frozen=True, kw_only=True)
class BundleInfo:
    """What `bundle.json` says.

    :param name: version of the model, as verdicts quote it.
    :param labels: the class of each output of the network, in order.
    :param temperature: the logits are divided by it before the softmax; 0.01 to 100.
    :param window_tokens: longest window the network reads, special tokens included; 3 to `LONGEST_WINDOW`.
    :param window_overlap: tokens that neighbouring windows of a longer text share.
    :param normalizer: version of `ruthan.text` that prepared the training texts.
    :param thresholds: risk at which a stated share of honest texts is flagged, by share, such as "0.01".
    :param training: data digest, configuration, sizes.
    :param metrics: figures measured when the bundle was made.
    :param files: sha256 of every other file of the folder, by name.
    """

    name: str
    labels: tuple[str, ...]
    temperature: float
    window_tokens: int
    window_overlap: int
    normalizer: str
    thresholds: dict[str, float]
    training: dict[str, Any]
    metrics: dict[str, Any]
    licence: str
    attribution: str
    files: dict[str, str]
    format: int = FORMAT_VERSION

    def to_json(self) -> str:
        """The text of `bundle.json`."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=2) + "\n"


@dataclass(frozen=True)
class Bundle:
    """A checked bundle on disk."""

    folder: Path
    info: BundleInfo


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def default_bundle() -> Path:
    """The folder of the bundle that ships with ruthan."""
    return shipped("models", DEFAULT_NAME)


def read_bundle(folder: Path) -> Bundle:
    """Read and check a bundle.

    :raises BundleError: a file is missing, damaged, or made for another version of ruthan; the message names the
        file, the field of `bundle.json` and what stands there, and the remedy.
    """
    if not folder.is_dir():
        raise BundleError(f"no model bundle at {folder}; give the folder that holds {INFO}, or reinstall ruthan")
    path = folder / INFO
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(f"cannot read {path}: {error.strerror}; {_RESTORE}") from error
    except ValueError as error:
        raise BundleError(f"{path} is damaged, it is not valid JSON; {_RESTORE}") from error
    except RecursionError as error:
        raise BundleError(f"{path} is damaged, its JSON is nested too deeply; {_RESTORE}") from error
    info = _info(content, path)
    if info.normalizer != NORMALIZER_VERSION:
        raise BundleError(
            f"{path}: made for text normaliser {shown(info.normalizer)}, this ruthan has {NORMALIZER_VERSION!r}; "
            "use the bundle that came with this version, or retrain with python -m train run"
        )
    for name, digest in info.files.items():
        file = folder / name
        if not _FILE_NAME.fullmatch(name):
            raise BundleError(f"{path}: files: {shown(name)} is not a file of the bundle; {_RESTORE}")
        if not file.is_file():
            raise BundleError(f"{file} is missing; {_RESTORE}")
        try:
            found = file_digest(file)
        except OSError as error:
            raise BundleError(f"cannot read {file}: {error.strerror}; {_RESTORE}") from error
        if found != digest:
            raise BundleError(f"{file} is damaged, its sha256 is not the one in {INFO}; {_RESTORE}")
    return Bundle(folder, info)


_RESTORE = "restore the folder from where it came (git checkout, or reinstall ruthan)"
_FILE_NAME = re.compile(r"\w[\w.-]{0,99}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip()) and not re.search("[\ud800-\udfff]", value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _is_mapping(value: Any, holds: Callable[[Any], bool] = lambda _: True) -> bool:
    return isinstance(value, dict) and all(map(holds, value.values()))


# What each field must be: the check, and its words for the error.
_FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (lambda value: _is_text(value) and value.isprintable(), "a text of one line"),
    "labels": (lambda value: isinstance(value, list) and all(map(_is_text, value)), "a list of texts"),
    "temperature": (lambda value: _is_number(value) and 0.01 <= value <= 100, "a number from 0.01 to 100"),
    "window_tokens": (
        lambda value: _is_integer(value) and 3 <= value <= LONGEST_WINDOW,
        f"a whole number from 3 to {LONGEST_WINDOW}, the positions of the network,",
    ),
    "window_overlap": (lambda value: _is_integer(value) and value >= 0, "a whole number from 0"),
    "normalizer": (_is_text, "a text"),
    "thresholds": (lambda value: _is_mapping(value, _is_number), "an object of finite numbers"),
    "training": (_is_mapping, "an object"),
    "metrics": (_is_mapping, "an object"),
    "licence": (_is_text, "a text"),
    "attribution": (_is_text, "a text"),
    "files": (lambda value: _is_mapping(value, _is_text), "an object of texts"),
}


def _info(content: Any, path: Path) -> BundleInfo:
    if not isinstance(content, dict):
        raise BundleError(f"{path} is damaged, it holds no JSON object; {_RESTORE}")
    version = content.get("format")
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path}: bundle format {shown(version)}, this ruthan reads format {FORMAT_VERSION}; "
            "upgrade ruthan, or use the bundle that came with this version"
        )
    names = {field.name for field in fields(BundleInfo)}
    if missing := sorted(names - content.keys()):
        raise BundleError(f"{path} is damaged, it lacks {', '.join(missing)}; {_RESTORE}")
    for field, (holds, needed) in _FIELDS.items():
        if not holds(content[field]):
            raise BundleError(f"{path}: {field} is {shown(content[field])}; {needed} is needed; {_RESTORE}")
    info = BundleInfo(**{**{name: content[name] for name in names}, "labels": tuple(content["labels"])})
    if not {MODEL, TOKENIZER} <= info.files.keys():
        raise BundleError(f"{path} is damaged, it lists no {MODEL} or {TOKENIZER}; {_RESTORE}")
    if fault := _label_fault(info.labels):
        raise BundleError(f"{path}: labels {fault}; {_RESTORE}")
    if info.window_overlap >= info.window_tokens - 2:
        raise BundleError(
            f"{path}: window_overlap: windows of {info.window_tokens} tokens cannot overlap by "
            f"{shown(info.window_overlap)}; {_RESTORE}"
        )
    return info


def _label_fault(labels: tuple[str, ...]) -> str | None:
    """What keeps the labels from being classes of the taxonomy, each once and benign among them."""
    known = default_taxonomy().labels
    for at, label in enumerate(labels):
        if label not in known:
            return f"holds {shown(label)}, which is no class of data/taxonomy.yaml"
        if label in labels[:at]:
            return f"holds {shown(label)} twice"
    if BENIGN not in labels:
        return f"lacks {BENIGN!r}"
    return "holds no harmful class" if len(labels) == 1 else None
