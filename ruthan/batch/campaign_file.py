"""The file of campaigns, by which a next run meets them again: one a line, as JSON."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from ruthan.batch.campaigns import Campaign, CampaignIndicator
from ruthan.batch.results import json_line, replacing
from ruthan.dumps.dates import from_epoch
from ruthan.errors import DataError


class _Fault(ValueError):
    """What is wrong with a line."""


def write_campaigns(path: Path, campaigns: Iterable[Campaign]) -> None:
    """One campaign a line, as JSON; of equal campaigns the same bytes. An aborted run leaves the old file.

    :raises ResultsError: the file cannot be written.
    """
    with replacing(path) as file:
        for campaign in campaigns:
            content = {each.name: getattr(campaign, each.name) for each in fields(Campaign)}
            content["indicators"] = [asdict(each) for each in campaign.indicators]
            file.write(json_line(content))


def read_campaigns(path: Path) -> list[Campaign]:
    """The campaigns of a file that `write_campaigns` wrote.

    :raises DataError: it cannot be read, or a line is no campaign; names the file, the line and what is wrong.
    """
    campaigns: dict[str, Campaign] = {}
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    campaign = _read_campaign(line)
                    if campaign.id in campaigns:
                        raise _Fault(f"there is an earlier campaign {campaign.id}")
                except _Fault as fault:
                    raise DataError(f"{path}, line {number}: {fault}; restore the file or begin a new one") from None
                campaigns[campaign.id] = campaign
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    return list(campaigns.values())


def _read_campaign(line: bytes) -> Campaign:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        raise _Fault("it is no JSON, or breaks off") from None
    if not isinstance(content, dict):
        raise _Fault("it is no object with fields")
    values: dict[str, Any] = {}
    for each in fields(Campaign):
        fits, what = _FORMS[each.name]
        if each.name not in content:
            if each.default != ():
                raise _Fault(f"`{each.name}` is missing")
            continue
        value = content[each.name]
        if not fits(value):
            raise _Fault(f"`{each.name}` must be {what}")
        values[each.name] = tuple(value) if isinstance(value, list) else value
    values["indicators"] = tuple(
        CampaignIndicator(each["type"], each["value"], each["messages"]) for each in values["indicators"]
    )
    return Campaign(**values)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _are_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _is_time(value: Any) -> bool:
    if not isinstance(value, str):
        return value is None
    try:
        time = datetime.fromisoformat(value)
        return time.tzinfo is not None and from_epoch(time.timestamp()) is not None
    except (ValueError, OverflowError):
        return False


def _texts_like(pattern: str) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, list) and all(isinstance(each, str) and re.fullmatch(pattern, each) for each in value)
    )


def _is_indicator(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("type"), str)
        and isinstance(value.get("value"), str)
        and _is_count(value.get("messages"))
    )


_COUNT = (_is_count, "a whole number")
_COUNTS = (_are_counts, "an object of whole numbers")
_TIME = (_is_time, "a time in ISO 8601 with its zone, or null")
_ID = r"[A-Za-z0-9_-]{1,64}"
_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": (lambda value: isinstance(value, str) and bool(re.fullmatch(_ID, value)), "a text such as c-3f9a0c21d7e4"),
    "messages": _COUNT,
    "texts": _COUNT,
    "label": (lambda value: isinstance(value, str) and bool(value), "a text"),
    "labels": (lambda value: _are_counts(value) and bool(value), "an object of whole numbers, not empty"),
    "risk": (
        lambda value: isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1,
        "a number from 0 to 1",
    ),
    "actions": _COUNTS,
    "needs_help": _COUNT,
    "first_seen": _TIME,
    "last_seen": _TIME,
    "channels": _COUNTS,
    "senders": _COUNT,
    "exemplar": (lambda value: value is None or isinstance(value, str), "a text or null"),
    "exemplar_evidence": (
        lambda value: isinstance(value, list) and all(isinstance(each, dict) for each in value),
        "a list of objects",
    ),
    "exemplar_source": (lambda value: value is None or isinstance(value, dict), "an object or null"),
    "indicators": (
        lambda value: isinstance(value, list) and all(map(_is_indicator, value)),
        "a list of objects with `type`, `value` and `messages`",
    ),
    "merged": (_texts_like(_ID), "a list of ids"),
    "keys": (_texts_like(r"[tn]:[0-9a-f]{16}"), "a list of keys such as t:3f9a0c21d7e45b60"),
    "sender_keys": (_texts_like(r"[0-9a-f]{12}"), "a list of 12 hexadecimal digits each"),
}
