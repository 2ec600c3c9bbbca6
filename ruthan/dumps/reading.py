"""Read a dump of any known format as messages: open it, find its encoding, choose its reader."""

import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

from ruthan.dumps.delimited import read_delimited
from ruthan.dumps.encoding import SAMPLE_BYTES, open_text
from ruthan.dumps.json_lines import read_json_lines
from ruthan.dumps.plain import read_plain
from ruthan.dumps.unreadable import Unreadable
from ruthan.errors import DumpError
from ruthan.message import Message

STDIN = "-"
FORMATS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".txt": "text"}


def read_dump(path: str, column: str | None = None) -> Iterator[Message | Unreadable]:
    """The messages of a file, or of standard input if `path` is `-`, in order; memory does not grow with its size.

    The format follows from the ending; a file without a known one, and standard input, are read as JSON lines if the
    first character is `{`, else as plain text. `column` names the text column or field.

    :raises DumpError: the file cannot be opened or read, or has no such column.
    """
    try:
        with ExitStack() as stack:
            raw = io.FileIO(sys.stdin.fileno(), closefd=False) if path == STDIN else io.FileIO(path)
            binary = stack.enter_context(io.BufferedReader(raw, SAMPLE_BYTES))
            stream, _ = open_text(binary)
            yield from _read(stream, path, column, _format(path, binary, stream.encoding))
    except OSError as error:
        raise DumpError(f"cannot read {path}: {error.strerror or error}") from error


def check_readable(path: str) -> None:
    """See to it early that a path can be read at all.

    :raises DumpError: it does not exist, is a folder, or may not be opened.
    """
    if path == STDIN:
        return
    try:
        if Path(path).is_dir():
            raise DumpError(f"{path} is a folder; name the files in it, such as {path.rstrip('/')}/*.csv")
        if Path(path).is_fifo():  # opening a pipe twice would cut its writer off
            return
        with Path(path).open("rb"):
            pass
    except (OSError, ValueError) as error:
        raise DumpError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _format(path: str, binary: "io.BufferedReader[io.FileIO]", encoding: str) -> str:
    known = FORMATS.get(Path(path).suffix.lower()) if path != STDIN else None
    if known:
        return known
    sample = binary.peek(SAMPLE_BYTES)[:64].decode(encoding, "replace")
    return "jsonl" if sample.lstrip("\ufeff \t\r\n").startswith("{") else "text"


def _read(stream: TextIO, path: str, column: str | None, form: str) -> Iterator[Message | Unreadable]:
    if form == "jsonl":
        return read_json_lines(stream, path, column or "text")
    if form == "text":
        return read_plain(stream, path)
    return read_delimited(stream, path, column, "\t" if form == "tsv" else None)
