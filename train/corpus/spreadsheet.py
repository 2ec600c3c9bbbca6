"""Tables for people: CSV that Excel opens, in which no text becomes a formula, a number or a date.

A spreadsheet takes a cell that begins with `=`, `+`, `-`, `@`, their full-width forms or a tab for a formula, and a
short one that begins with a digit for a number or a date. Such a text gets one apostrophe in front, and one more if it
has some already; on reading, one is taken away. So every text comes back as it was. A program that swallows the
apostrophe, its own sign for text, does no harm: without one nothing is taken away.
"""

import contextlib
import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from train.errors import CorpusError

# None of these begins with an apostrophe, which is what makes the way back unambiguous.
_MISREAD = r"\s*[=+\-@＝＋－＠]|[\t\r\n]|\d[^\r\n]{0,24}\Z"
_TO_GUARD = re.compile(f"'*(?:{_MISREAD})")
_GUARDED = re.compile(f"'+(?:{_MISREAD})")


def guarded(text: str) -> str:
    """The cell that holds a text."""
    return f"'{text}" if _TO_GUARD.match(text) else text


def unguarded(cell: str) -> str:
    """The text that a cell holds: what `guarded` was given."""
    return cell[1:] if _GUARDED.match(cell) else cell


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV beside the old file and put it in its place; with the byte order mark that makes Excel read
    Thai.

    :raises CorpusError: it cannot be written.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, quoting=csv.QUOTE_ALL)  # also where a spreadsheet divides at semicolons
            writer.writerow(columns)
            for row in rows:
                cells = (row[column] for column in columns)
                writer.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in cells])
        partial.replace(path)
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise CorpusError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error
