"""JSON lines: one object a line, the message in its field `text` or another that the user names."""

import json
from collections.abc import Iterator
from typing import Any, TextIO

from ruthan.dumps.lines import numbered_lines
from ruthan.dumps.unreadable import NOT_IN_ENCODING, TOO_LONG, Unreadable, undecodable
from ruthan.message import Message, Source

_KEPT = ("channel", "sender", "sent_at", "thread")


def read_json_lines(stream: TextIO, file: str, field: str = "text") -> Iterator[Message | Unreadable]:
    """One message, or one unreadable row, for each line that is not blank."""
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


def _row(line: str, source: Source, field: str) -> Message | Unreadable:
    try:
        content: Any = json.loads(line)
    except (ValueError, RecursionError):
        return Unreadable(source, "not valid JSON")
    if not isinstance(content, dict):
        return Unreadable(source, f"a JSON {_json_name(content)} where an object is expected")
    if field not in content:
        return Unreadable(source, f"no field {field!r}; name the right one with --text-column")
    text = content[field]
    if not isinstance(text, str):
        return Unreadable(source, f"the field {field!r} is a JSON {_json_name(text)}, not a string")
    kept = {name: content[name] for name in _KEPT if isinstance(content.get(name), str)}
    return Message(text, source=source, **kept)


def _json_name(value: object) -> str:
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")
