"""Tables that are no text: workbooks (XLSX, XLS, XLSB, ODS) and Parquet."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime
from itertools import chain, islice
from typing import Any, BinaryIO

from ruthan.dumps.columns import Layout, find_layout, row_message
from ruthan.dumps.dates import BANGKOK, time_as_iso
from ruthan.dumps.rows import Notice, Row, Unreadable
from ruthan.dumps.workbook import text_of
from ruthan.errors import DumpError
from ruthan.message import Message, Source

SAMPLE_ROWS = 100
BATCH_ROWS = 1_024
WORKBOOK_MEMORY = 4 << 30  # bytes that a workbook may take once it is open


def read_workbook(stream: BinaryIO, file: str, column: str | None = None) -> Iterator[Row]:
    """One row for each row of each sheet that is not blank, numbered from 1 in its sheet; of several sheets the file is
    named `book.xlsx!Sheet`. `stream` can seek; another process reads it, see ruthan/dumps/workbook.py.

    :raises DumpError: it is no workbook, has a password, is too large to be opened, or no sheet has the column.
    """
    missing: DumpError | None = None
    found = False
    source = Source(file, 1)
    try:
        for place, rows in _sheets(stream, file):
            source = Source(place, 1)
            try:
                sample = list(islice(rows, SAMPLE_ROWS))
            except _BrokenSheetError:
                yield Unreadable(source, "the sheet is damaged; open the workbook and save it again")
                continue
            if not sample:
                continue
            try:
                layout = find_layout(sample, file, column)
            except DumpError as error:
                missing = missing or error
                reason = "this sheet has no such column" if place != file else None
                for number, _ in enumerate(chain(sample[1:], rows), 1):
                    if reason:
                        yield Unreadable(Source(place, number), reason)
                continue
            found = True
            for number, cells in enumerate(islice(chain(sample, rows), layout.has_header, None), 1):
                yield row_message(_filled(cells, layout), Source(place, number), layout)
                source = Source(place, number + 1)
    except _BrokenError as error:
        if not found:
            raise DumpError(f"{file}: {error}") from None
        yield Unreadable(source, str(error))
    if missing and not found:
        raise missing


class _BrokenError(Exception):
    pass


class _BrokenSheetError(Exception):
    pass


def _sheets(stream: BinaryIO, file: str) -> Iterator[tuple[str, Iterator[list[str]]]]:
    """The sheets by name, each with its rows, which are to be read before the next sheet. Those of a damaged sheet
    raise _BrokenSheetError in place of the first one.

    :raises _BrokenError: the workbook cannot be read, or not to its end; says why.
    """
    with ExitStack() as stack:
        lines = _lines(stream, stack)
        line = next(lines)
        while "sheet" in line:
            place = file if line["sheets"] == 1 else f"{file}!{line['sheet']}"
            after: list[dict[str, Any]] = []

            def rows(after: list[dict[str, Any]] = after) -> Iterator[list[str]]:
                for line in lines:
                    if isinstance(line, dict) and "broken" in line:
                        after.append(next(lines))
                        raise _BrokenSheetError
                    if isinstance(line, dict):
                        after.append(line)
                        return
                    yield line

            yield place, rows()
            line = after[0]
        if line["end"] == "password":
            raise _BrokenError("locked with a password; save it without one")
        if line["end"]:
            raise _BrokenError("no workbook that can be opened: damaged, or of an unknown kind")


def _lines(stream: BinaryIO, stack: ExitStack) -> Iterator[Any]:
    """What ruthan/dumps/workbook.py says of a workbook.

    :raises _BrokenError: it ended before its time.
    """
    try:
        descriptor = stream.fileno()
        stream.flush()  # a copy may have stood in memory until now
    except OSError:
        copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
        stream.seek(0)
        shutil.copyfileobj(stream, copy)
        copy.flush()
        descriptor = copy.fileno()
    path = os.pathsep.join(entry for entry in sys.path if os.path.isabs(entry))
    process = stack.enter_context(
        subprocess.Popen(  # noqa: S603 - our own program
            # -P: what lies in the current folder is no part of the program
            [sys.executable, "-P", "-m", "ruthan.dumps.workbook", str(WORKBOOK_MEMORY)],
            stdin=descriptor,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
        )
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    line: Any = None
    for raw in process.stdout:
        if not raw.endswith(b"\n"):
            break
        line = json.loads(raw)
        yield line
        if isinstance(line, dict) and "end" in line:
            return
    raise _BrokenError("too large to be opened, or made to look so; save it as CSV")


def _filled(cells: list[str], layout: Layout) -> list[str]:
    while len(cells) > layout.width and not cells[-1]:  # cells that are formatted, but empty
        cells.pop()
    return cells


def read_parquet(stream: BinaryIO, file: str, column: str | None = None) -> Iterator[Row]:
    """One row for each row of a Parquet file, numbered from 1, read batch by batch. `stream` can seek.

    :raises DumpError: pyarrow is not installed, it is no Parquet file, or it has no such column.
    """
    try:
        import pyarrow
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise DumpError(f"{file}: Parquet needs pyarrow; pip install 'ruthan[dumps]'") from None
    broken = (pyarrow.ArrowException, OSError, ValueError)
    try:
        table = ParquetFile(stream)
        names = list(table.schema_arrow.names)
        first = next(table.iter_batches(SAMPLE_ROWS), None)
    except broken as error:
        raise DumpError(f"{file}: no Parquet file that can be opened: damaged, or cut off") from error
    sample = [[text_of(cell) for cell in row.values()] for row in first.to_pylist()] if first is not None else []
    layout = _parquet_layout(names, sample, file, column)
    chosen = [names[layout.text], *(names[index] for index in layout.others.values())]
    number = 0
    try:
        for batch in table.iter_batches(BATCH_ROWS, columns=chosen):
            for row in batch.to_pylist():
                number += 1
                yield _parquet_row(row, names, layout, Source(file, number))
    except broken:
        yield Unreadable(Source(file, number + 1), "the file is damaged from here on")


def _parquet_layout(names: list[str], sample: list[list[str]], file: str, column: str | None) -> Layout:
    # Parquet always names its columns, also by names that mean nothing to us.
    layout = find_layout([names, *sample], file, column)
    return Layout(True, len(names), layout.text, layout.others)


def _sent_at(moment: Any) -> str:
    """ISO 8601 in Bangkok time, which is that of moments without a zone, if it is a time; else as written."""
    if isinstance(moment, datetime) and moment.tzinfo:
        return moment.astimezone(BANGKOK).isoformat(timespec="seconds")
    return time_as_iso(text_of(moment))


def _parquet_row(row: dict[str, Any], names: list[str], layout: Layout, source: Source) -> Row:
    text = row.get(names[layout.text])
    if text is None:
        return Notice(source, "empty")
    others = {}
    for field, index in layout.others.items():
        value = row.get(names[index])
        if value is not None and text_of(value):
            others[field] = _sent_at(value) if field == "sent_at" else text_of(value)
    return Message(text_of(text), source=source, **others)
