"""Read back what `ruthan scan` wrote, in any of its forms."""

import csv
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ruthan.batch.columns import unflat
from ruthan.batch.results import WRITERS, needed
from ruthan.errors import DataError

_BATCH = 5_000


def read_results(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file of results, or of a folder of Parquet files, in order and in constant memory.

    :raises DataError: a file cannot be read, or holds something else; the message names the line.
    """
    if path.is_dir():
        parts = sorted(path.glob("*.parquet"))
        if not parts:
            raise DataError(f"{path}: a folder without a Parquet file; give results that ruthan scan wrote")
        for part in parts:
            yield from read_results(part)
        return
    ending = path.suffix.lower()
    if ending not in _READERS:
        raise DataError(f"{path}: results end in one of {', '.join(WRITERS)}")
    try:
        yield from _READERS[ending](path)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


def _json_lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{path}:{number}: not valid JSON; results that ruthan scan wrote are needed"
                ) from error
            if not isinstance(row, dict) or not {"risk", "label", "action", "evidence"} <= row.keys():
                raise DataError(f"{path}:{number}: no verdict; results that ruthan scan wrote are needed")
            yield row


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(64_000_000)  # characters; long messages have long evidence
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for cells in reader:
            yield unflat({name: _bare(cell) for name, cell in cells.items()}, f"{path}:{reader.line_num}")


def _bare(cell: str | None) -> str | None:
    """A cell without what keeps spreadsheets from reading it as a formula."""
    return cell[1:] if cell and cell[0] == "'" and cell[1:2] in ("=", "+", "-", "@", "\t", "\r") else cell


def _sqlite(path: Path) -> Iterator[dict[str, Any]]:
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            database.row_factory = sqlite3.Row
            for number, cells in enumerate(database.execute("SELECT * FROM verdicts ORDER BY rowid"), 1):
                yield unflat(dict(cells), f"{path}: row {number}")
        finally:
            database.close()
    except sqlite3.Error as error:
        raise DataError(f"{path}: {error}; results that ruthan scan wrote are needed") from error


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    pyarrow = needed("pyarrow", path)
    from pyarrow import parquet

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_BATCH):
                for cells in batch.to_pylist():
                    number += 1
                    yield unflat(cells, f"{path}: row {number}")
    except pyarrow.ArrowException as error:
        raise DataError(f"{path}: not a Parquet file that can be read") from error


def _duckdb(path: Path) -> Iterator[dict[str, Any]]:
    duckdb = needed("duckdb", path)
    try:
        with duckdb.connect(str(path), read_only=True) as database:
            cursor = database.execute("SELECT * FROM verdicts ORDER BY rowid")
            names = [column[0] for column in cursor.description]
            number = 0
            while rows := cursor.fetchmany(_BATCH):
                for cells in rows:
                    number += 1
                    yield unflat(dict(zip(names, cells, strict=True)), f"{path}: row {number}")
    except duckdb.Error as error:
        raise DataError(f"{path}: {' '.join(str(error).split())[:200]}") from error


def _excel(path: Path) -> Iterator[dict[str, Any]]:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            for sheet in book.sheet_names:
                rows = book.get_sheet_by_name(sheet).iter_rows()
                names = [str(cell) for cell in next(rows, [])]
                for number, cells in enumerate(rows, 2):
                    texts = [_bare(cell) if isinstance(cell, str) else cell for cell in cells]
                    yield unflat(dict(zip(names, texts, strict=False)), f"{path}: sheet {sheet}, row {number}")
    except CalamineError as error:
        raise DataError(f"{path}: not an Excel file that can be read: {error}") from error


_READERS: dict[str, Callable[[Path], Iterator[dict[str, Any]]]] = {
    ".jsonl": _json_lines,
    ".csv": _csv,
    ".parquet": _parquet,
    ".xlsx": _excel,
    ".sqlite": _sqlite,
    ".duckdb": _duckdb,
}
