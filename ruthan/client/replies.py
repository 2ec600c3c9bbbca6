"""What the service answers with, beside verdicts."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from types import GenericAlias
from typing import Any, TypeVar

from ruthan.errors import DataError
from ruthan.taxonomy import Kind, MessageClass, Taxonomy

T = TypeVar("T")


@dataclass(frozen=True)
class ItemError:
    """Why one message of many has no verdict, and what to send instead."""

    error: str


@dataclass(frozen=True)
class Limits:
    """What one request may hold: code points, messages, bytes; and seconds within which a verdict is given."""

    max_text_length: int
    max_batch: int
    max_batch_explained: int
    max_batch_characters: int
    max_body_bytes: int
    max_upload_bytes: int
    deadline_seconds: float


@dataclass(frozen=True)
class ServiceModel:
    """The model and the policy that answer.

    :param model_version: name and digest of the bundle; `policy_version` of the policy.
    :param window_tokens: how much the model reads at once.
    :param metrics: figures measured when the model was made.
    :param limits: what the service may be sent.
    """

    name: str
    model_version: str
    labels: tuple[str, ...]
    policy: str
    policy_version: str
    window_tokens: int
    licence: str
    attribution: str
    limits: Limits
    metrics: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FeedbackReceipt:
    """Feedback was kept.

    :param replaced: the same reviewer had said something of this message before.
    :param near: how many others said something of this message, or of one that differs in numbers and links only.
    :param conflict: one of them named another label.
    """

    id: str
    message_id: str
    state: str
    replaced: bool
    near: int
    conflict: bool


@dataclass(frozen=True)
class JobProgress:
    """What a job has read: messages, by action and label; notices; what could not be read; and how files were read."""

    messages: int = 0
    notices: int = 0
    unreadable: int = 0
    actions: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """A dump that was uploaded, and how far it is.

    :param state: `queued`, `running`, `done` or `failed`.
    :param error: why it failed, and what to do.
    :param bytes_read: of `bytes`, those of the dump.
    """

    id: str
    name: str
    state: str
    error: str | None
    bytes: int
    bytes_read: int
    progress: JobProgress
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


def service_model(content: Any) -> ServiceModel:
    """:raises DataError: this is none."""
    limits = _made(Limits, _taken(content, "limits"))
    return _made(ServiceModel, content, labels=tuple(listed(content, "labels")), limits=limits)


def receipt(content: Any) -> FeedbackReceipt:
    """:raises DataError: this is none."""
    return _made(FeedbackReceipt, content)


def job(content: Any) -> Job:
    """:raises DataError: this is none."""
    progress = _taken(content, "progress")
    moments = {name: _moment(_taken(content, name)) for name in ("created_at", "started_at", "finished_at")}
    files = tuple(listed(progress, "files")) if isinstance(progress, Mapping) and "files" in progress else ()
    return _made(Job, content, progress=_made(JobProgress, progress, files=files), **moments)


def taxonomy(content: Any) -> Taxonomy:
    """:raises DataError: this is none."""
    classes = tuple(
        _made(MessageClass, each, kinds=tuple(_made(Kind, kind) for kind in listed(each, "kinds")))
        for each in listed(content, "classes")
    )
    return _made(Taxonomy, content, classes=classes)


def listed(content: Any, name: str) -> list[Any]:
    """The list in a field.

    :raises DataError: there is none.
    """
    found = _taken(content, name)
    if not isinstance(found, list):
        raise _other(name)
    return found


def _made(cls: type[T], content: Any, **given: Any) -> T:
    """An object of the fields that it knows, each of its type; a later version of the service may send more."""
    values = dict(given)
    for each in fields(cls):  # type: ignore[arg-type]
        known = isinstance(content, Mapping) and each.name in content
        if each.name not in values and (known or (each.default is MISSING and each.default_factory is MISSING)):
            values[each.name] = _taken(content, each.name)
        if each.name in values and not _fits(values[each.name], each.type):
            raise DataError(f"the {each.name} in the reply is of another kind")
    return cls(**values)


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of the type of a field; what lists and mappings hold is not looked at."""
    if isinstance(value, bool):  # a number to Python
        return kind is bool
    if isinstance(kind, GenericAlias):
        kind = kind.__origin__
    return isinstance(value, int | float if kind is float else kind)


def _taken(content: Any, name: str) -> Any:
    if not isinstance(content, Mapping) or name not in content:
        raise _other(name)
    return content[name]


def _other(name: str) -> DataError:
    return DataError(f"the reply has no {name}")


def _moment(value: Any) -> datetime | None:
    try:
        return None if value is None else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise DataError("a time in the reply cannot be read") from None
