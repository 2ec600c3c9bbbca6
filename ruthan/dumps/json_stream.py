"""JSON documents of any size, one entry at a time: what the readers of chat exports and of other JSON share.

The parser is ijson. Before it stands a filter that mends what would stop it and need not: damaged bytes, half emoji,
line breaks inside strings, NaN, numbers of thousands of digits, strings without end.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from decimal import InvalidOperation, localcontext
from itertools import chain
from typing import Any, BinaryIO

import ijson

from ruthan.dumps.dates import BANGKOK, from_epoch
from ruthan.dumps.encoding import SAMPLE_BYTES, UNDECODABLE, detect_encoding
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG, Notice, Row, Unreadable
from ruthan.errors import DumpError
from ruthan.message import Message, Source

MAX_STRING = 4_000_000  # characters, as written in the file; longer strings are cut and marked
MAX_ENTRY = 8_000_000  # characters in all strings of an entry that are kept
MAX_VALUES = 100_000  # keys and values of an entry
MAX_DEPTH = 100  # levels inside an entry
MAX_NAME = 1_000  # characters of a sender's or a chat's name

ITEM = "[]"  # stands in a path for each item of a list
Path = tuple[str, ...]

_BLOCK = 1 << 16
_MAX_DIGITS = 1_000  # Python refuses whole numbers of over 4,300 digits
_MAX_OUTER_DEPTH = 16
_MAX_SKIPPED_DEPTH = 1_000_000  # the parser keeps one byte a level

# Noncharacters, which no text may hold: JSON cannot carry the lone surrogate of UNDECODABLE to the other side.
_DAMAGED = "\ufdd0"
_CUT = "\ufdd1"

_TOO_LARGE = f"an entry of over {MAX_ENTRY:,} characters or {MAX_VALUES:,} values"
_TOO_DEEP = f"an entry nested over {MAX_DEPTH} levels deep"

_EMPTY = "the file is empty"

_STARTS = frozenset({"start_map", "start_array"})
_ENDS = frozenset({"end_map", "end_array"})
_STRINGS = frozenset({"string", "map_key"})


@dataclass(frozen=True)
class Fault:
    """Why an entry could not be read. Holds nothing of it."""

    reason: str


@dataclass(frozen=True)
class Entry:
    """One item of a list: its number from 1 in the whole document, where the list stands, the item as Python has it (or
    the `Fault` that kept it from being read), and the wanted fields that the object around the list gave before it.
    """

    number: int
    path: Path
    value: Any
    parent: Mapping[str, Any]


def entries(
    stream: BinaryIO,
    file: str,
    is_list: Callable[[Path], bool],
    *,
    expected: str,
    headers: frozenset[str] = frozenset(),
    keep: Callable[[str], bool] | None = None,
) -> Iterator[Entry]:
    """The items of those lists of a document whose path `is_list` accepts, in the file's order.

    Of an item that is an object only the fields that `keep` accepts are built; None is all. `headers` are the fields of
    the objects around the lists that `Entry.parent` shows. A document that breaks off or is damaged inside or behind
    such a list ends with an entry that is a `Fault`. `expected` says in an error what the document should be.

    :raises DumpError: the document holds no such list, or breaks off before one begins.
    """
    progress = _Progress()
    events = _events(_texts(stream))
    try:
        yield from _walk(events, is_list, headers, keep, progress)
    except _BrokenError as broken:
        if not progress.lists:
            where = "" if broken.what == _EMPTY else " before the first message"
            raise DumpError(f"{file}: {broken.what}{where}; {expected} is expected") from None
        number = progress.number if progress.inside else progress.number + 1
        where = f"in the middle of entry {number}" if progress.inside else f"after entry {progress.number}"
        yield Entry(number, (), Fault(f"{broken.what} {where}; what follows could not be read"), {})
    else:
        if not progress.lists:
            raise DumpError(f"{file}: no list of messages in this JSON document; {expected} is expected")


def object_rows(
    found: Iterable[Entry], file: str, row: Callable[[dict[str, Any], Source, Mapping[str, Any]], Row]
) -> Iterator[Row]:
    """One row an entry: what `row` makes of an object, its source and its parent; anything else is unreadable."""
    for entry in found:
        source = Source(file, entry.number)
        if isinstance(entry.value, Fault):
            yield Unreadable(source, entry.value.reason)
        elif isinstance(entry.value, dict):
            yield row(entry.value, source, entry.parent)
        else:
            yield Unreadable(source, f"a JSON {json_name(entry.value)} where an object is expected")


def message_row(
    text: str,
    source: Source,
    otherwise: str,
    *,
    channel: str | None = "chat",
    sender: str | None = None,
    sent_at: str | None = None,
    thread: str | None = None,
) -> Row:
    """A message, or a notice of the kind `otherwise` if there are no words, or why the words are unreadable."""
    if fault := text_fault(text):
        return Unreadable(source, fault)
    if not text.strip():
        return Notice(source, otherwise)
    return Message(text, channel=channel, sender=sender, sent_at=sent_at, thread=thread, source=source)


def text_fault(text: str) -> str | None:
    """Why a string is not as its sender wrote it: it was cut, or some of its bytes could not be decoded."""
    if _CUT in text:
        return TOO_LONG
    return NOT_IN_ENCODING if _DAMAGED in text else None


def joined(parts: Iterable[str]) -> str:
    """The parts that are not blank, one below the other, without repeats and addresses that stand in an earlier one."""
    taken: dict[str, None] = {}
    for part in parts:
        # Looking for very many parts in each other would take time that grows with their square.
        repeated = "://" in part and len(taken) <= 50 and any(part in earlier for earlier in taken)
        if part.strip() and not repeated:
            taken[part] = None
    return "\n".join(taken)


def name_of(value: Any) -> str | None:
    """A name or identifier of at most `MAX_NAME` characters; None for anything but a string that is not blank."""
    if not isinstance(value, str) or not value.strip():
        return None
    return value[:MAX_NAME].replace(_DAMAGED, "\ufffd").replace(_CUT, "\ufffd")


def wrong_kind(entry: Mapping[str, Any], *names: str, kinds: tuple[type, ...] = (str,)) -> str | None:
    """Why the words of an entry cannot be read: one of these fields is neither null nor of these kinds."""
    for name in names:
        if entry.get(name) is not None and not isinstance(entry[name], kinds):
            return f"the field {name!r} is a JSON {json_name(entry[name])}, not a string"
    return None


def objects_in(value: Any) -> list[dict[str, Any]]:
    """The objects of a JSON list; none if it is no list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def string_in(value: Any) -> str:
    """A JSON string; empty for any other value."""
    return value if isinstance(value, str) else ""


def epoch_time(value: Any, per_second: int = 1) -> str | None:
    """ISO 8601 in Bangkok time of a number, or a string of one, of `1 / per_second` seconds since 1970."""
    if isinstance(value, bool) or value is None or (isinstance(value, str) and len(value) > 40):
        return None
    try:
        return from_epoch(float(value) / per_second)
    except (ValueError, TypeError, OverflowError, InvalidOperation):
        return None


def iso_time(value: Any, zone: tzinfo = BANGKOK) -> str | None:
    """An ISO 8601 time as Bangkok time to the second; `zone` holds where it names none. As written if it is no time."""
    text = name_of(value)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        return moment.astimezone(BANGKOK).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return text


def json_name(value: object) -> str:
    """What JSON calls the kind of a value."""
    names = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return names.get(type(value), "number")


def outline(head: str) -> dict[Path, Any]:
    """What the beginning of a document holds: each path that occurs in it with its first value.

    Objects are `{}` and lists `[]` there. `head` may break off anywhere; text that is no JSON has no paths.
    """
    found: dict[Path, Any] = {}
    frames: list[_Frame] = []
    try:
        for event, value in _events(iter([head.removeprefix("\ufeff")])):
            if event == "map_key":
                frames[-1].key = value
            elif event in _ENDS:
                frames.pop()
            else:
                path = (*frames[-1].path, frames[-1].key) if frames else ()
                if len(frames) <= _MAX_OUTER_DEPTH:
                    found.setdefault(path, {"start_map": {}, "start_array": []}.get(event, value))
                if event in _STARTS:
                    frames.append(_Frame(path[: _MAX_OUTER_DEPTH + 1], event == "start_map"))
    except _BrokenError:
        pass
    return found


class _BrokenError(Exception):
    """The document ends or stops being JSON: `what` happened, in words for the user and without its text."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


@dataclass
class _Progress:
    number: int = 0
    lists: int = 0
    inside: bool = False


@dataclass(slots=True)
class _Frame:
    """An open object or list around the wanted lists, or such a list."""

    path: Path
    is_map: bool
    listed: bool = False
    fields: dict[str, Any] = field(default_factory=dict)
    key: str = ITEM


_Events = Iterator[tuple[str, Any]]


def _walk(
    events: _Events,
    is_list: Callable[[Path], bool],
    headers: frozenset[str],
    keep: Callable[[str], bool] | None,
    progress: _Progress,
) -> Iterator[Entry]:
    frames: list[_Frame] = []
    nothing: dict[str, Any] = {}
    for event, value in events:
        frame = frames[-1] if frames else None
        if event in _ENDS:
            frames.pop()
        elif frame is not None and frame.listed:
            progress.number += 1
            progress.inside = True
            built = _build(events, event, value, keep)
            progress.inside = False
            yield Entry(progress.number, frame.path, built, frames[-2].fields if len(frames) > 1 else nothing)
        elif frame is not None and event == "map_key":
            frame.key = value
        elif event in _STARTS:
            path = (*frame.path, frame.key) if frame else ()
            listed = event == "start_array" and is_list(path)
            progress.lists += listed
            if not listed and frame is not None and frame.is_map and frame.key in headers:
                frame.fields[frame.key] = _build(events, event, value, None)
            elif not listed and len(frames) >= _MAX_OUTER_DEPTH:
                _skip(events)
            else:
                frames.append(_Frame(path, event == "start_map", listed))
        elif frame is not None and frame.is_map and frame.key in headers:
            frame.fields[frame.key] = value


def _build(events: _Events, event: str, value: Any, keep: Callable[[str], bool] | None) -> Any:
    """The value that begins with an event, its other events taken; or a Fault, with its events taken all the same."""
    root = top = _opened(event, value)
    if event not in _STARTS:
        return root
    stack = [root]
    key = ""
    values = characters = 0
    for kind, content in events:
        if kind in _ENDS:
            stack.pop()
            if not stack:
                return root
            top = stack[-1]
            continue
        values += 1
        characters += len(content) if kind in _STRINGS else 0
        if kind == "map_key":
            key = content
            if keep is not None and len(stack) == 1 and not keep(key) and next(events)[0] in _STARTS:
                _skip(events)
            continue
        item = _opened(kind, content)
        if isinstance(top, dict):
            top[key] = item
        else:
            top.append(item)
        if kind in _STARTS:
            stack.append(item)
            top = item
        if values > MAX_VALUES or characters > MAX_ENTRY or len(stack) > MAX_DEPTH:
            _skip(events, len(stack))
            return Fault(_TOO_DEEP if len(stack) > MAX_DEPTH else _TOO_LARGE)
    raise AssertionError("the parser closes what it opens, or says that the document is broken")


def _opened(event: str, value: Any) -> Any:
    return {} if event == "start_map" else [] if event == "start_array" else value


def _skip(events: _Events, depth: int = 1) -> None:
    """Take the events up to the end of the `depth` innermost open containers."""
    for event, _ in events:
        if event in _STARTS:
            depth += 1
            if depth > _MAX_SKIPPED_DEPTH:
                raise _BrokenError(f"objects nested over {_MAX_SKIPPED_DEPTH:,} levels deep")
        elif event in _ENDS:
            depth -= 1
            if not depth:
                return


def _events(texts: Iterator[str]) -> _Events:
    """What ijson finds in a document, as pairs of event and value; `_BrokenError` where it stops being JSON."""
    # Pushed instead of pulled: so the events before an error are there before the error.
    pending = ijson.sendable_list()
    parser = ijson.basic_parse_coro(pending)
    cleaner = _Cleaner()
    blank = True
    waiting: list[bytes] = []
    for text in chain(texts, [None]):
        blank = blank and not (text and text.strip())
        waiting.append(cleaner.clean("", last=True) if text is None else cleaner.clean(text))
        # The parser begins again with each block at a string's first quote: a long one must be in one block.
        if text is not None and cleaner.in_long_string:
            continue
        block = b"".join(waiting)
        waiting.clear()
        valid = not block or _pushed(parser, block)  # an empty block would mean the end
        yield from pending
        del pending[:]
        if not valid:
            raise _BrokenError("invalid JSON")
    if not _pushed(parser, b""):
        raise _BrokenError(_EMPTY if blank else "the file ends")


def _pushed(parser: Any, block: bytes) -> bool:
    """Give the parser a block, the empty one at the end; whether the document is valid so far."""
    try:
        with localcontext() as context:
            # A number such as 1e99999999999999999999 is no time and no message, and no reason to stop.
            context.traps[InvalidOperation] = False
            parser.send(block)
    except StopIteration:
        pass
    except (ijson.JSONError, ValueError, ArithmeticError):
        return False
    return True


def _texts(stream: BinaryIO) -> Iterator[str]:
    """The decoded document in pieces of bounded length, its byte order mark removed."""
    sample = bytearray()
    while len(sample) < SAMPLE_BYTES and (block := stream.read(SAMPLE_BYTES - len(sample))):
        sample += block
    # The handler is registered by ruthan.dumps.encoding, which marks each bad byte.
    decoder = codecs.getincrementaldecoder(_encoding(bytes(sample)))("ruthan-undecodable")
    first = True
    for begin in range(0, len(sample), _BLOCK):
        text = decoder.decode(bytes(sample[begin : begin + _BLOCK]))
        yield text.removeprefix("\ufeff") if first else text
        first = first and not text
    del sample
    while block := stream.read(_BLOCK):
        yield decoder.decode(block)
    yield decoder.decode(b"", True)


def _encoding(sample: bytes) -> str:
    name = detect_encoding(sample).name
    if name == "cp874":
        # A document is often one line, so that one damaged byte speaks against all of it. The other bytes do not.
        beyond_ascii = len(sample) - len(sample.translate(None, bytes(range(0x80, 0x100))))
        if 3 * len(_THAI_IN_UTF8.findall(sample)) > 0.5 * beyond_ascii:
            return "utf-8"
    return name


_THAI_IN_UTF8 = re.compile(rb"\xe0[\xb8\xb9][\x80-\xbf]")
_OPEN_ESCAPE = re.compile(r'(?:\\u[dD][89abAB][0-9a-fA-F]{2})?\\[^\\"]{0,5}\Z')
_UNQUOTED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-"
_SURROGATE = re.compile(r"\\u(?:[dD][89a-fA-F]|[fF][dD][dD][01])")
_PAIR_OR_LONE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|(\\u(?:[dD][89a-fA-F][0-9a-fA-F]{2}|[fF][dD][dD][01]))"
)
_CONTROL = re.compile(r"[\x00-\x1f]")
_ODD = re.compile(rf"-?\bInfinity\b|-?\bNaN\b|(?<![0-9])([0-9]{{{_MAX_DIGITS}}})[0-9]*")


class _Cleaner:
    """Mends the text of a document piece by piece, and keeps track of whether a piece begins inside a string."""

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._length = 0  # of the string that is open
        self._is_cut = False

    @property
    def in_long_string(self) -> bool:
        """Whether the text so far ends inside a string of over one block."""
        return self._inside and self._length > _BLOCK

    def clean(self, text: str, last: bool = False) -> bytes:
        """The next piece as UTF-8 for the parser; the end of it may be held back until the next one."""
        text = self._held + text
        if _DAMAGED in text or _CUT in text:
            text = text.replace(_DAMAGED, "\ufffd").replace(_CUT, "\ufffd")
        # Without escaped backslashes and quotes, every quote begins or ends a string. Same length as the text.
        masked = text.replace("\\\\", "__").replace('\\"', "__")
        end = len(text)
        if not last:
            if self._inside ^ (masked.count('"') & 1):
                found = _OPEN_ESCAPE.search(masked, max(0, end - 12))
                end = found.start() if found else end
            else:
                end = len(masked.rstrip(_UNQUOTED))
        # A token without end is a number, of which the first digits will do, or nothing valid.
        self._held = text[end : end + _MAX_DIGITS] if masked[end : end + 1] != "\\" else text[end:]
        text, masked = self._cut_string(text[:end], masked[:end])
        if _SURROGATE.search(masked):
            text = _mend_surrogates(text, masked)
        outside, inside = masked.split('"'), masked.split('"')
        first_outside = int(self._inside)
        outside, inside = outside[first_outside::2], inside[1 - first_outside :: 2]
        if _CONTROL.search("".join(inside)) or _ODD.search(" ".join(outside)):
            text = _mend_tokens(text, masked, self._inside)
        self._inside ^= bool(masked.count('"') & 1)
        return text.replace(UNDECODABLE, _DAMAGED).encode("utf-8", "replace")

    def _cut_string(self, text: str, masked: str) -> tuple[str, str]:
        """The piece without what a string that began in an earlier one has over `MAX_STRING`."""
        first_quote = masked.find('"')
        if self._inside:
            # Cut at the beginning of a piece, which is never the middle of an escape.
            head = len(text) if first_quote < 0 else first_quote
            self._length += head
            if self._length > MAX_STRING:
                mark = "" if self._is_cut else _CUT
                self._is_cut = True
                text, masked = mark + text[head:], mark + masked[head:]
        if first_quote >= 0:
            self._is_cut = False
            self._length = len(masked) - masked.rfind('"') - 1
        return text, masked


def _mend_surrogates(text: str, masked: str) -> str:
    """Escapes of half an emoji, and of the marks that only this module may set, become that of U+FFFD."""
    parts = []
    begin = 0
    for match in _PAIR_OR_LONE.finditer(masked):
        if match[1]:
            parts += [text[begin : match.start()], "\\ufffd"]
            begin = match.end()
    return "".join([*parts, text[begin:]])


def _mend_tokens(text: str, masked: str, inside: bool) -> str:
    """Raw control characters in strings become escapes; NaN and Infinity become null; endless numbers are shortened."""
    parts = []
    begin = 0
    for piece in masked.split('"'):
        part = text[begin : begin + len(piece)]
        begin += len(piece) + 1
        if inside:
            part = _CONTROL.sub(lambda match: f"\\u{ord(match[0]):04x}", part)
        else:
            part = _ODD.sub(lambda match: match[1] or "null", part)
        parts.append(part)
        inside = not inside
    return '"'.join(parts)
