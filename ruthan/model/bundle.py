"""A model bundle: the folder that carries a trained model from `train` to whoever scans.

    model.onnx       the network, weights in 8 bits
    tokenizer.json   its tokenizer
    README.md        the model card
    bundle.json      what the others are: labels, calibration, versions, digests; written last

Nothing in a bundle is executable and nothing is pickled. A bundle whose parts do not fit is refused.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ruthan.errors import BundleError
from ruthan.resources import shipped
from ruthan.text.normalize import NORMALIZER_VERSION

FORMAT_VERSION = 2  # 2: the network also says what each token contributes
MODEL, TOKENIZER, CARD, INFO = "model.onnx", "tokenizer.json", "README.md", "bundle.json"
DEFAULT_NAME = "ruthan-e5s"  # the folder in models/ that ships


@dataclass(frozen=True, kw_only=True)
class BundleInfo:
    """What `bundle.json` says.

    :param name: version of the model, as verdicts quote it.
    :param labels: the class of each output of the network, in order.
    :param temperature: the logits are divided by it before the softmax; above 0.
    :param window_tokens: longest window the network reads, special tokens included.
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
        file and the remedy.
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
    info = _info(content, path)
    if info.normalizer != NORMALIZER_VERSION:
        raise BundleError(
            f"{path}: made for text normaliser {info.normalizer}, this ruthan has {NORMALIZER_VERSION}; "
            "use the bundle that came with this version, or retrain with python -m train run"
        )
    for name, digest in info.files.items():
        file = folder / name
        if Path(name).name != name:
            raise BundleError(f"{path}: {name!r} is not a file of the bundle; {_RESTORE}")
        if not file.is_file():
            raise BundleError(f"{file} is missing; {_RESTORE}")
        if file_digest(file) != digest:
            raise BundleError(f"{file} is damaged, its sha256 is not the one in {INFO}; {_RESTORE}")
    return Bundle(folder, info)


_RESTORE = "restore the folder from where it came (git checkout, or reinstall ruthan)"


def _info(content: Any, path: Path) -> BundleInfo:
    if not isinstance(content, dict):
        raise BundleError(f"{path} is damaged, it holds no JSON object; {_RESTORE}")
    version = content.get("format")
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path}: bundle format {version!r}, this ruthan reads format {FORMAT_VERSION}; "
            "upgrade ruthan, or use the bundle that came with this version"
        )
    names = {field.name for field in fields(BundleInfo)}
    if missing := sorted(names - content.keys()):
        raise BundleError(f"{path} is damaged, it lacks {', '.join(missing)}; {_RESTORE}")
    info = BundleInfo(**{**{name: content[name] for name in names}, "labels": tuple(content["labels"])})
    if not {MODEL, TOKENIZER} <= info.files.keys():
        raise BundleError(f"{path} is damaged, it lists no {MODEL} or {TOKENIZER}; {_RESTORE}")
    if not (isinstance(info.temperature, int | float) and info.temperature > 0):
        raise BundleError(f"{path}: temperature is {info.temperature!r}; a number above 0 is needed; {_RESTORE}")
    if not 0 <= info.window_overlap < info.window_tokens - 2:
        raise BundleError(f"{path}: windows of {info.window_tokens} tokens cannot overlap by {info.window_overlap}")
    return info
