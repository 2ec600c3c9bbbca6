"""JSON lines: one object a line, the message in its field `text`, `message`, `body` or the like, or one the user names.

So are the messages of the Android app "SMS Import / Export" (`messages.ndjson`), whose times are numbers, whose sender
is an `address` and whose MMS keep their words in parts.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

from ruthan.dumps.columns import OTHER_NAMES, TEXT_NAMES, plain_name
from ruthan.dumps.dates import value_as_iso
from ruthan.dumps.lines import numbered_lines
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG, Notice, Row, Unreadable, undecodable
from ruthan.message import Message, Source

_PARTS = ("__parts", "parts")  # of an MMS
_RECEIVED = "1"  # Android's `type` of an SMS and `msg_box` of an MMS; others are drafts or go out


def read_json_lines(stream: TextIO, file: str, field: str | None = None) -> Iterator[Row]:
    """One row for each line that is not blank: a message, a notice for an MMS without words, or why it is unreadable.

    Without `field` each object's message is in the first of its fields that is called so.
    """
    for line in numbered_lines(stream):
        if line.text.isspace():
            continue
        source = Source(file, line.number)
        if line.too_long:
            yield Unreadable(source, TOO_LONG)
        elif undecodable(line.text):
            yield Unreadable(source, NOT_IN_ENCODING)
        else:
            yield _row(line.text, source, field)


def _row(line: str, source: Source, field: str | None) -> Row:  # noqa: PLR0911 - a way out for each fault
    try:
        content: Any = json.loads(line)
    except (ValueError, RecursionError):
        return Unreadable(source, "not valid JSON")
    if not isinstance(content, dict):
        return Unreadable(source, f"a JSON {_json_name(content)} where an object is expected")
    if field is not None and field not in content:
        return Unreadable(source, f"no field {field!r}; name the right one with --text-column")
    fields = {plain_name(name): value for name, value in reversed(content.items())}
    if field is None and (parts := _parts(content)) is not None and not any(name in fields for name in TEXT_NAMES):
        words = [part["text"] for part in parts if isinstance(part, dict) and _is_text(part)]
        text: Any = "\n".join(words)
        if not words:
            return Notice(source, "photo" if parts else "empty")
    else:
        name = field if field is not None else _text_name(fields)
        if name is None:
            return Unreadable(source, f"no field {', '.join(TEXT_NAMES[:4])} or the like; name it with --text-column")
        text = content[name] if field is not None else fields[name]
        if not isinstance(text, str):
            return Unreadable(source, f"the field {name!r} is a JSON {_json_name(text)}, not a string")
    return Message(text, source=source, **_known(fields))


def _text_name(fields: Mapping[str, Any]) -> str | None:
    """The first field by name that is a string, else the first one."""
    present = [name for name in TEXT_NAMES if name in fields]
    return next((name for name in present if isinstance(fields[name], str)), next(iter(present), None))


def _parts(content: Mapping[str, Any]) -> list[Any] | None:
    return next((content[name] for name in _PARTS if isinstance(content.get(name), list)), None)


def _is_text(part: Mapping[str, Any]) -> bool:
    return part.get("ct") == "text/plain" and isinstance(part.get("text"), str)


def _known(fields: Mapping[str, Any]) -> dict[str, str]:
    """What an object tells besides the text."""
    known = {}
    for kept, names in OTHER_NAMES.items():
        values = (value_as_iso(fields.get(name)) if kept == "sent_at" else fields.get(name) for name in names)
        found = next((value for value in values if isinstance(value, str) and value), None)
        if found is not None:
            known[kept] = found
    kind = fields.get("type", fields.get("msgbox"))
    if isinstance(fields.get("address"), str) and "date" in fields and isinstance(kind, str | int):  # Android's columns
        known.setdefault("channel", "sms")
        known.setdefault("thread", fields["address"])
        if str(kind) != _RECEIVED:
            known.pop("sender", None)
    return known


def _json_name(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
