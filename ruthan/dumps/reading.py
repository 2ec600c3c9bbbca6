"""Read dumps as messages: open what a path stands for, find format and encoding, choose the reader."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO, TextIO

from ruthan.dumps import detect
from ruthan.dumps.containers import STDIN, Once, Part, at_hand, find_files, open_parts, reason_of
from ruthan.dumps.delimited import read_delimited
from ruthan.dumps.detect import ENDINGS, HEAD_BYTES, detect_format
from ruthan.dumps.discord import read_discord
from ruthan.dumps.encoding import Encoding, open_text, read_ahead
from ruthan.dumps.json_document import read_json_document
from ruthan.dumps.json_lines import read_json_lines
from ruthan.dumps.line_chat import read_line_chat
from ruthan.dumps.mail import read_eml, read_mbox
from ruthan.dumps.meta import read_meta
from ruthan.dumps.plain import read_plain
from ruthan.dumps.rows import Row, Unreadable
from ruthan.dumps.sms_backup import read_sms_backup
from ruthan.dumps.tables import read_parquet, read_workbook
from ruthan.dumps.telegram import read_telegram
from ruthan.dumps.whatsapp import read_whatsapp
from ruthan.errors import DumpError
from ruthan.message import Source

_READ_TEXT: dict[str, Callable[[TextIO, str], Iterator[Row]]] = {
    "line": read_line_chat,
    "whatsapp": read_whatsapp,
    "text": read_plain,
}
_READ_TEXT_COLUMN: dict[str, Callable[[TextIO, str, str | None], Iterator[Row]]] = {
    "csv": read_delimited,
    "tsv": lambda stream, file, column: read_delimited(stream, file, column, "\t"),
    "jsonl": read_json_lines,
}
_READ: dict[str, Callable[[BinaryIO, str], Iterator[Row]]] = {
    "telegram": read_telegram,
    "meta": read_meta,
    "discord": read_discord,
    "sms-xml": read_sms_backup,
    "mbox": read_mbox,
    "eml": read_eml,
}
_READ_COLUMN: dict[str, Callable[[BinaryIO, str, str | None], Iterator[Row]]] = {
    "json": read_json_document,
    "xlsx": read_workbook,
    "parquet": read_parquet,
}
_SEEKING = ("xlsx", "parquet")


@dataclass(frozen=True)
class Opened:
    """A file, or a member of an archive, that is about to be read: as what, in which encoding (None where the format
    has its own), and why so.
    """

    file: str
    form: str
    encoding: str | None
    because: str


def read_dump(
    path: str,
    column: str | None = None,
    form: str | None = None,
    on_open: Callable[[Opened], None] | None = None,
    on_bytes: Callable[[int], None] | None = None,
    once: Once | None = None,
) -> Iterator[Row]:
    """What is in a file, a folder, a glob, an archive or, if `path` is `-`, standard input, in order; memory does not
    grow with its size. Of several files one that cannot be read is one unreadable row, and the others are read.

    :param column: name of the text column or field, or number of the column; without it, it is found.
    :param form: the format, one of detect.FORMATS, of all the files; without it, each one's is found.
    :param on_open: is told of each file before it is read.
    :param on_bytes: is told how many bytes were read, as often as some were.
    :param once: says which files are to be read, of these paths and others; without it all are.
    :raises DumpError: the path cannot be opened or read, or has no such column, or there is no such format.
    """
    if form is not None and form not in detect.FORMATS:
        raise DumpError(f"no format {form!r}; there are: {', '.join(detect.FORMATS)}")
    for part in open_parts(path, on_bytes, once):
        if isinstance(part, Unreadable):
            yield part
            continue
        try:
            yield from _up_to_a_fault(part, _rows(part, column, form, on_open or _nothing))
        except DumpError as error:
            if part.alone:
                raise
            yield Unreadable(Source(part.file, 1), reason_of(error, part.file))
        except OSError as error:
            if part.alone:
                raise DumpError(f"cannot read {path}: {error.strerror or error}") from error
            yield Unreadable(Source(part.file, 1), f"cannot be read: {error.strerror or error}")


def check_readable(path: str) -> None:
    """See to it early that a path can be read at all.

    :raises DumpError: it does not exist, has nothing in it, or may not be opened.
    """
    files = find_files(path)
    if path == STDIN or files != [path]:
        return
    try:
        if Path(path).is_fifo():  # opening a pipe twice would cut its writer off
            return
        with Path(path).open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise DumpError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def size_of(paths: Iterable[str]) -> int | None:
    """How many bytes the files have that paths stand for; None where one has no size, such as a pipe.

    :raises DumpError: there are no such files.
    """
    total = 0
    for path in paths:
        for file in find_files(path):
            if file == STDIN or not (Path(file).is_file() or Path(file).is_dir()):
                return None
            total += Path(file).stat().st_size
    return total


def _nothing(_: Opened) -> None:
    pass


def _up_to_a_fault(part: Part, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows, and where the packed data broke off one that says so, in place of the entry that was cut."""
    line = 0
    waiting: Unreadable | None = None  # may be the entry that was cut
    for row in rows:
        if waiting:
            yield waiting
        waiting = row if isinstance(row, Unreadable) else None
        if waiting is None:
            yield row
        line = row.source.line if row.source else line
    fault = part.fault()
    if fault:
        yield Unreadable(waiting.source if waiting else Source(part.file, line + 1), fault)
    elif waiting:
        yield waiting


def _rows(part: Part, column: str | None, form: str | None, on_open: Callable[[Opened], None]) -> Iterator[Row]:
    head, stream = read_ahead(part.stream, HEAD_BYTES)
    if form is not None:
        why = "as told"
    else:
        try:
            form = detect_format(head, part.name)
        except DumpError as error:
            raise DumpError(f"{part.file}: {reason_of(error, part.name)}") from None
        why = "by its name" if ENDINGS.get(PurePath(part.name).suffix.lower()) == form else "by what is in it"
    why = f"{detect.FORMATS[form]}, {why}"
    if form in _READ_TEXT or form in _READ_TEXT_COLUMN:
        text, encoding = open_text(stream)
        on_open(_opened(part, form, why, encoding))
        with closing(text):
            if form in _READ_TEXT:
                yield from _READ_TEXT[form](text, part.file)
            else:
                yield from _READ_TEXT_COLUMN[form](text, part.file, column)
        return
    on_open(_opened(part, form, why))
    if form in _READ:
        yield from _READ[form](stream, part.file)
        return
    ready = at_hand(stream, part.file) if form in _SEEKING else stream
    with closing(ready) if ready is not stream else nullcontext():
        yield from _READ_COLUMN[form](ready, part.file, column)


def _opened(part: Part, form: str, why: str, encoding: Encoding | None = None) -> Opened:
    if encoding is None:
        return Opened(part.file, form, None, why)
    return Opened(part.file, form, encoding.name, f"{why}; {encoding.because}")
