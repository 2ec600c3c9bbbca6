"""A policy: from which risk a message is reviewed or blocked. Read from a file, never fixed in code."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml

from ruthan.errors import PolicyError
from ruthan.resources import shipped
from ruthan.verdict import Action

_THRESHOLDS = ("review", "block")


@dataclass(frozen=True)
class Thresholds:
    """`review` and `block` are risks, 0 to 1, `review` not above `block`."""

    review: float
    block: float


@dataclass(frozen=True)
class Policy:
    """`review` and `block` are risks, 0 to 1, `review` not above `block`; `needs_help` is what is done, whatever the
    risk, with a message in which someone may need help; `channels`, by name, hold in place of `review` and `block` for
    the messages of a channel.
    """

    name: str
    review: float
    block: float
    needs_help: Action = "review"
    channels: Mapping[str, Thresholds] = field(default_factory=dict)

    def action(self, risk: float, needs_help: bool = False, channel: str | None = None) -> Action:
        """What to do with a message of this risk. A channel that the policy does not name is as good as none."""
        if needs_help:
            return self.needs_help
        limits = self.channels.get(channel_name(channel), self)
        return "block" if risk >= limits.block else "review" if risk >= limits.review else "allow"


def channel_name(channel: str | None) -> str:
    """A message's channel as policies write it: lower case, without blanks around it; empty if it is not known.

    >>> channel_name(" SMS ")
    'sms'
    """
    return (channel or "").strip().lower()


def default_policy() -> Path:
    """The policy file that ships with ruthan."""
    return shipped("data", "policies", "default.yaml")


def read_policy(path: Path) -> Policy:
    """Read and check a policy file.

    :raises PolicyError: it cannot be read, or a field is missing, unknown or out of range.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise PolicyError(f"cannot read the policy {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise PolicyError(f"the policy {path} is not valid YAML: {error}") from error
    required, known = {"name", *_THRESHOLDS}, {"name", *_THRESHOLDS, "needs_help", "channels"}
    if not isinstance(content, dict) or not required <= content.keys() <= known:
        raise PolicyError(
            f"the policy {path} must hold the fields name, review and block, and may hold needs_help and channels"
        )
    limits = _thresholds(content, path)
    needs_help = content.get("needs_help", "review")
    if needs_help not in get_args(Action):
        raise PolicyError(f"{path}: needs_help is {needs_help!r}; one of {', '.join(get_args(Action))} is needed")
    channels = _channels(content.get("channels", {}), limits, path)
    return Policy(str(content["name"]), limits.review, limits.block, needs_help, channels)


def _channels(content: Any, default: Thresholds, path: Path) -> dict[str, Thresholds]:
    """Any name may stand, since dumps name their channels freely; the command line says which of them none used."""
    if not isinstance(content, dict):
        raise PolicyError(f"{path}: channels must hold `name: {{review: …, block: …}}` lines, or be left out")
    channels: dict[str, Thresholds] = {}
    for name, values in content.items():
        if not isinstance(name, str) or not name or name != channel_name(name):
            raise PolicyError(
                f"{path}: channels: {name!r} is no channel; write a name in lower case, in quotes if need be"
            )
        if not isinstance(values, dict) or not values or not values.keys() <= set(_THRESHOLDS):
            raise PolicyError(f"{path}: channels.{name} must hold review, block or both, and nothing else")
        inherited = {"review": default.review, "block": default.block}
        channels[name] = _thresholds(inherited | values, path, f"channels.{name}.")
    return channels


def _thresholds(values: Mapping[str, Any], path: Path, place: str = "") -> Thresholds:
    """`review` and `block` of a mapping; errors name them behind `place`."""
    for name in _THRESHOLDS:
        value = values[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise PolicyError(f"{path}: {place}{name} is {value!r}; a risk from 0 to 1 is needed")
    review, block = (float(values[name]) for name in _THRESHOLDS)
    if review > block:
        raise PolicyError(f"{path}: {place}review ({review:g}) is above {place}block ({block:g})")
    return Thresholds(review, block)
