"""Read back what `ruthan scan` wrote, in any of its forms."""

import csv
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ruthan.batch.columns import unflat
from ruthan.batch.results import WRITERS, as_written, needed
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
            yield _checked(row, f"{path}:{number}")


_KINDS: dict[str, type | tuple[type, ...]] = {
    "risk": (int, float),
    "label": str,
    "action": str,
    "needs_help": bool,
    "evidence": list,
    "model": str,
    "policy": str,
}
_EVIDENCE = {"kind": str, "type": str, "text": str, "start": int, "end": int}


def _checked(row: Any, place: str) -> dict[str, Any]:
    """A row of which all that reports and campaigns count with is there and of its kind.

    :raises DataError: it is not; the message names `place` and the field.
    """
    if not isinstance(row, dict):
        raise DataError(f"{place}: no verdict; results that ruthan scan wrote are needed")
    wrong = [name for name, kind in _KINDS.items() if not isinstance(row.get(name), kind)]
    wrong += [name for name in ("source", "message") if not isinstance(row.get(name, {}), dict)]
    if not wrong and not all(_is_evidence(each) for each in row["evidence"]):
        wrong = ["evidence"]
    told, source, counts = row.get("message", {}), row.get("source", {}), row.get("recruitment", {})
    if not wrong and not all(isinstance(value, str) for value in told.values()):
        wrong = ["message"]
    if not wrong and source and not (isinstance(source.get("file"), str) and isinstance(source.get("line"), int)):
        wrong = ["source"]
    if not isinstance(counts, dict) or not all(isinstance(number, int) for number in counts.values()):
        wrong += ["recruitment"]
    if wrong:
        raise DataError(
            f"{place}: {wrong[0]!r} is missing or of the wrong kind; give results as ruthan scan wrote them"
        )
    return row


def _is_evidence(each: Any) -> bool:
    return (
        isinstance(each, dict)
        and all(isinstance(each.get(name), kind) for name, kind in _EVIDENCE.items())
        and isinstance(each.get("value", ""), str)
        and isinstance(each.get("details", {}), dict)
    )


def _csv(path: Path) -> Iterator[dict[str, Any]]:
    csv.field_size_limit(64_000_000)  # characters; long messages have long evidence
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, restval="")
        try:
            for cells in reader:
                bare = {name: as_written(cell) for name, cell in cells.items() if isinstance(cell, str)}
                yield _unflat(bare, f"{path}:{reader.line_num}")
        except csv.Error as error:
            raise DataError(f"{path}:{reader.line_num}: {error}; give results as ruthan scan wrote them") from error


def _unflat(cells: Mapping[str, Any], place: str) -> dict[str, Any]:
    return _checked(unflat(cells, place), place)


def _sqlite(path: Path) -> Iterator[dict[str, Any]]:
    try:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            database.row_factory = sqlite3.Row
            for number, cells in enumerate(database.execute("SELECT * FROM verdicts ORDER BY rowid"), 1):
                yield _unflat(dict(cells), f"{path}: row {number}")
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
                    yield _unflat(cells, f"{path}: row {number}")
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
                    yield _unflat(dict(zip(names, cells, strict=True)), f"{path}: row {number}")
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
                    texts = [as_written(cell) if isinstance(cell, str) else cell for cell in cells]
                    yield _unflat(dict(zip(names, texts, strict=False)), f"{path}: sheet {sheet}, row {number}")
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
