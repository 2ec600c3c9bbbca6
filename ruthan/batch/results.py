"""Write verdicts to a file: JSON lines or CSV, by the file's ending."""

import csv
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, TextIO

from ruthan.errors import RuthanError
from ruthan.verdict import Verdict

ENDINGS = (".jsonl", ".csv")
CSV_COLUMNS = (
    ("file", "line", "risk", "label", "action", "needs_help", "evidence", "reasons", "reasons_en", "advice")
    + ("windows", "model", "policy")
)  # fmt: skip


class ResultsError(RuthanError):
    """The results cannot be written there."""


class Writer(Protocol):
    """Takes one verdict after another."""

    def write(self, verdict: Verdict) -> None:
        """Append a verdict."""


def json_line(verdict: Verdict) -> bytes:
    """A verdict as one line of JSON in UTF-8, with its line end."""
    text = json.dumps(verdict.to_dict(), ensure_ascii=False)
    # A half character, as in a file name that is not UTF-8, is written as the JSON escape \udcxx.
    return text.encode("utf-8", "backslashreplace") + b"\n"


class _JsonLines:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, verdict: Verdict) -> None:
        self._file.write(json_line(verdict))


class _Csv:
    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file)
        self._writer.writerow(CSV_COLUMNS)

    def write(self, verdict: Verdict) -> None:
        source = verdict.source
        cells = [
            source.file if source else "",
            source.line if source else "",
            verdict.risk,
            verdict.label,
            verdict.action,
            "yes" if verdict.needs_help else "no",
            "; ".join(f"{each.type} {each.value or each.text}" for each in verdict.evidence),
            " ".join(verdict.reasons),
            " ".join(verdict.reasons_en),
            " ".join(verdict.advice),
            verdict.windows,
            verdict.model,
            verdict.policy,
        ]
        self._writer.writerow([_inert(cell) if isinstance(cell, str) else cell for cell in cells])


def _inert(cell: str) -> str:
    """Keep a spreadsheet from reading a cell as a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


@contextmanager
def open_results(path: Path) -> Iterator[Writer]:
    """A writer to `path`. The file takes its name only when all is written: an aborted run leaves no half file.

    :raises ResultsError: the ending is unknown, or the file cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise ResultsError(f"cannot write {path}: the ending must be one of {', '.join(ENDINGS)}")
    special = path.exists() and not stat.S_ISREG(path.stat().st_mode)  # a pipe or device is written to directly
    partial = path if special else path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        try:
            if ending == ".csv":
                # The byte order mark is what makes Excel read Thai.
                with partial.open("w", encoding="utf-8-sig", errors="backslashreplace", newline="") as text:
                    yield _Csv(text)
            else:
                with partial.open("wb") as binary:
                    yield _JsonLines(binary)
            if not special:
                partial.replace(path)
        finally:
            if not special:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error.strerror or error}") from error
