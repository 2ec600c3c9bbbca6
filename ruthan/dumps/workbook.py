"""The cells of a workbook (XLSX, XLS, XLSB, ODS) as JSON lines: run as a process of its own by ruthan/dumps/tables.py.

python -m ruthan.dumps.workbook MEMORY < book.xlsx

The library keeps whole sheets, and a file of a few kilobytes can make it ask for more memory than there is, upon which
the process ends. Here that costs the one file. MEMORY is the limit in bytes.

Lines are `{"sheet": name, "sheets": how many}`, then a list of texts for each row that is not blank, and at the end
`{"end": null}` or what went wrong: `password`, `damaged` or, for one sheet, `{"broken": name}`.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

SECONDS = 900  # of processor time

T = TypeVar("T")


def main() -> None:
    """Write what is in the workbook on standard input to standard output."""
    _limit(int(sys.argv[1]))
    os.lseek(0, 0, os.SEEK_SET)
    with os.fdopen(0, "rb") as stream:
        try:
            for line in _lines(stream):
                sys.stdout.write(json.dumps(line) + "\n")
            end = None
        except PasswordError:
            end = "password"
        except _DamagedError:
            end = "damaged"
    sys.stdout.write(json.dumps({"end": end}) + "\n")


def text_of(cell: Any) -> str:
    """A cell as a person would write it; a time as `2026-10-02 08:54:00`."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=None).isoformat(" ", "seconds")
    return "" if cell is None else str(cell)


def _limit(memory: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    for kind, most in ((resource.RLIMIT_AS, memory), (resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(kind)
        soft = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (soft, soft))


def _lines(stream: Any) -> Iterator[Any]:
    workbook = _careful(lambda: CalamineWorkbook.from_filelike(stream))
    names = workbook.sheet_names
    for name in names:
        yield {"sheet": name, "sheets": len(names)}
        try:
            yield from _rows(_careful(partial(workbook.get_sheet_by_name, name)))
        except _DamagedError:
            yield {"broken": name}


def _rows(sheet: CalamineSheet) -> Iterator[list[str]]:
    for cells in sheet.iter_rows():
        texts = [text_of(cell) for cell in cells]
        if any(text.strip() for text in texts):
            yield texts


class _DamagedError(Exception):
    pass


def _careful(action: Callable[[], T]) -> T:
    """Call the library, which is written in Rust.

    :raises _DamagedError: it fails; also where it meets a fault of its own, which comes as no ordinary exception.
    """
    try:
        return action()
    except PasswordError:
        raise
    except (CalamineError, OSError, ValueError) as error:
        raise _DamagedError from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise _DamagedError from error


if __name__ == "__main__":
    main()
