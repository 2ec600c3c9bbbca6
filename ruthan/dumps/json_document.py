"""Any other JSON document: a list of strings, a list of objects, or an object that holds such a list."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from ruthan.dumps.columns import OTHER_NAMES, TEXT_NAMES, plain_name
from ruthan.dumps.dates import value_as_iso
from ruthan.dumps.json_stream import (
    MAX_NAME,
    Fault,
    Path,
    entries,
    json_name,
    name_of,
    text_fault,
)
from ruthan.dumps.rows import Row, Unreadable
from ruthan.message import Message, Source

_NAMES = frozenset({*TEXT_NAMES, *(name for names in OTHER_NAMES.values() for name in names)})


def read_json_document(stream: BinaryIO, file: str, field: str | None = None) -> Iterator[Row]:
    """One message, or one unreadable row, for each entry of the list that is or stands in the document's root.

    An entry is a string, or an object whose text is in the first of its fields that is called `text`, `message`,
    `body` or the like, or in its field `field`. Of an object with several lists the first is read, and the next ones as
    long as none has given a message; each list with entries behind that one is one unreadable row that says so.

    :raises DumpError: there is no such list in the file.
    """
    began: list[Path] = []  # the root, or the lists of the root so far

    def is_list(path: Path) -> bool:
        if len(path) > 1 or began[:1] == [()]:
            return False
        began.append(path)
        return True

    found = entries(
        stream,
        file,
        is_list,
        expected="a list of messages, or an object that holds one,",
        keep=lambda name: name == field or plain_name(name[:MAX_NAME]) in _NAMES,
    )
    taken = unread = 0  # the list, counted from 1, that gave messages; and the last one that was passed over
    for entry in found:
        source = Source(file, entry.number)
        if isinstance(entry.value, Fault):
            yield Unreadable(source, entry.value.reason)
        elif taken and taken != len(began):
            if unread != len(began):
                unread = len(began)
                yield Unreadable(source, "a list behind the one with the messages; its entries were not read")
        else:
            row = _row(entry.value, source, field)
            if isinstance(row, Message):
                taken = len(began)
            yield row


def _row(value: Any, source: Source, field: str | None) -> Row:
    if isinstance(value, str):
        return _message(value, source, {})
    if not isinstance(value, dict):
        return Unreadable(source, f"a JSON {json_name(value)} where an object or a string is expected")
    fields = {plain_name(name): content for name, content in reversed(value.items())}
    if field is not None:
        if field not in value:
            return Unreadable(source, f"no field {field!r}; name the right one with --text-column")
        name, text = field, value[field]
    else:
        present = [name for name in TEXT_NAMES if name in fields]
        if not present:
            return Unreadable(source, f"no field {', '.join(TEXT_NAMES[:4])} or the like; name it with --text-column")
        name = next((name for name in present if isinstance(fields[name], str)), present[0])
        text = fields[name]
    if not isinstance(text, str):
        return Unreadable(source, f"the field {name!r} is a JSON {json_name(text)}, not a string")
    return _message(text, source, fields)


def _message(text: str, source: Source, fields: dict[str, Any]) -> Row:
    if fault := text_fault(text):
        return Unreadable(source, fault)
    known: dict[str, str] = {}
    for kept, names in OTHER_NAMES.items():
        values = (value_as_iso(fields.get(name)) if kept == "sent_at" else name_of(fields.get(name)) for name in names)
        content = next((content for content in values if content), None)
        if content is not None:
            known[kept] = content
    return Message(text, source=source, **known)
