"""Write rows of results to a file, in the form that its ending names."""

import csv
import io
import json
import sqlite3
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from ruthan.batch.columns import columns, flat
from ruthan.errors import RuthanError

ROWS = 5_000  # that are written to a table together
SHEET_ROWS = 1_048_576  # of an Excel sheet, its header included
CELL = 32_767  # characters of an Excel cell
_EPOCH = datetime(2000, 1, 1)


class ResultsError(RuthanError):
    """The results cannot be written there."""


class Writer(Protocol):
    """Takes one row of results after another, dictionaries as `ruthan.batch.scan` makes them."""

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row."""


def json_line(row: Mapping[str, Any]) -> bytes:
    """A row as one line of JSON in UTF-8, with its line end."""
    text = json.dumps(row, ensure_ascii=False)
    # A half character, as in a file name that is not UTF-8, is written as the JSON escape \udcxx.
    return text.encode("utf-8", "backslashreplace") + b"\n"


# What a spreadsheet may take for the beginning of a formula, in full width too, or drop to find one behind it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
# What XML cannot hold, so that Excel would not open the book.
_NO_XML = str.maketrans(dict.fromkeys("\ufffe\uffff", "\ufffd"))


def inert(cell: str) -> str:
    """A cell that no spreadsheet reads as a formula.

    >>> inert("=1+1")
    "'=1+1"
    """
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def as_written(cell: str) -> str:
    """A cell without the apostrophe that `inert` put before it."""
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(_FORMULA) else cell


@contextmanager
def open_results(path: Path, with_text: bool = False) -> Iterator[Writer]:
    """A writer to `path`, which takes its name only when all is written: an aborted run leaves no half file under it.

    :param with_text: make columns for the texts of the messages, where the form has columns.
    :raises ResultsError: the ending is unknown, the form needs a package that is not there, or the file cannot be
        written.
    """
    ending = path.suffix.lower()
    if ending not in WRITERS:
        raise ResultsError(f"cannot write {path}: the ending must be one of {', '.join(WRITERS)}")
    with _draft(path) as draft, WRITERS[ending](draft, with_text) as writer:
        yield writer


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """The same for a file of bytes.

    :raises ResultsError: it cannot be written.
    """
    with _draft(path) as draft, draft.open("wb") as file:
        yield file


def make_folder(folder: Path) -> None:
    """Make a folder for results, if it is not there.

    :raises ResultsError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultsError(f"cannot make the folder {folder}: {error.strerror or error}") from error


def draft_of(path: Path) -> Path:
    """What a file is called until it is whole."""
    return path.with_name(f"{path.name}.partial")


@contextmanager
def _draft(path: Path) -> Iterator[Path]:
    """Where to write what becomes `path` at the end."""
    try:
        special = path.exists() and not stat.S_ISREG(path.stat().st_mode)  # a pipe or device is written to directly
        draft = path if special else draft_of(path)
        if not special:
            _remove(draft)  # of a run that was killed
        try:
            yield draft
            if not special:
                draft.replace(path)
        finally:
            if not special:
                _remove(draft)
    except OSError as error:
        raise ResultsError(f"cannot write {path}: {error.strerror or error}") from error


def _remove(draft: Path) -> None:
    for path in (draft, draft.with_name(f"{draft.name}.wal")):  # DuckDB's, where it could not end in order
        path.unlink(missing_ok=True)


class _JsonLines:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, row: Mapping[str, Any]) -> None:
        self._file.write(json_line(row))


@contextmanager
def _json_lines(path: Path, with_text: bool) -> Iterator[Writer]:
    with path.open("wb") as file:
        yield _JsonLines(file)


class _Csv:
    def __init__(self, file: io.TextIOWrapper, with_text: bool) -> None:
        self._writer, self._with_text = csv.writer(file), with_text
        self._writer.writerow(columns(with_text))

    def write(self, row: Mapping[str, Any]) -> None:
        self._writer.writerow([inert(cell) if isinstance(cell, str) else cell for cell in flat(row, self._with_text)])


@contextmanager
def _csv(path: Path, with_text: bool) -> Iterator[Writer]:
    # The byte order mark is what makes Excel read Thai.
    with path.open("w", encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
        yield _Csv(file, with_text)


class _Chunks:
    """Gathers rows, and hands them on many at a time."""

    def __init__(self, with_text: bool, take: Callable[[list[list[Any]]], None]) -> None:
        self._with_text, self._take = with_text, take
        self._rows: list[list[Any]] = []

    def write(self, row: Mapping[str, Any]) -> None:
        self._rows.append(flat(row, self._with_text))
        if len(self._rows) == ROWS:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._take(self._rows)
        self._rows = []


@contextmanager
def _sqlite(path: Path, with_text: bool) -> Iterator[Writer]:
    names = {str: "TEXT", int: "INTEGER", float: "REAL"}
    fields = columns(with_text)
    path.open("xb").close()  # says better than the library why it cannot be
    database = sqlite3.connect(path)
    try:
        database.execute("PRAGMA journal_mode = OFF")  # a half-written file is thrown away whole
        database.execute("PRAGMA synchronous = OFF")
        database.execute(
            f"CREATE TABLE verdicts ({', '.join(f'{name} {names[kind]}' for name, kind in fields.items())})"
        )
        insert = f"INSERT INTO verdicts VALUES ({','.join('?' * len(fields))})"  # noqa: S608

        def take(rows: list[list[Any]]) -> None:
            database.executemany(insert, rows)

        chunks = _Chunks(with_text, take)
        yield chunks
        chunks.flush()
        database.execute("CREATE INDEX verdicts_risk ON verdicts (risk)")
        database.commit()
    except sqlite3.Error as error:
        raise ResultsError(f"cannot write {path}: {error}") from error
    finally:
        database.close()


@contextmanager
def _parquet(path: Path, with_text: bool) -> Iterator[Writer]:
    needed("pyarrow", path)
    from pyarrow import parquet

    schema = arrow_schema(with_text)
    with parquet.ParquetWriter(path, schema, compression="zstd") as file:
        chunks = _Chunks(with_text, lambda rows: file.write_batch(arrow_batch(rows, schema)))
        yield chunks
        chunks.flush()


def arrow_schema(with_text: bool) -> Any:
    """The columns as an Arrow schema."""
    import pyarrow

    kinds = {str: pyarrow.string(), int: pyarrow.int64(), float: pyarrow.float64()}
    return pyarrow.schema([(name, kinds[kind]) for name, kind in columns(with_text).items()])


def arrow_batch(rows: list[list[Any]], schema: Any) -> Any:
    """Rows of cells that are valid UTF-8 as an Arrow record batch."""
    import pyarrow

    return pyarrow.record_batch(
        [pyarrow.array(cells, field.type) for cells, field in zip(zip(*rows, strict=True), schema, strict=True)],
        schema=schema,
    )


@contextmanager
def _duckdb(path: Path, with_text: bool) -> Iterator[Writer]:
    duckdb, pyarrow = needed("duckdb", path), needed("pyarrow", path)
    names = {str: "VARCHAR", int: "BIGINT", float: "DOUBLE"}
    fields, schema = columns(with_text), arrow_schema(with_text)
    try:
        with duckdb.connect(str(path), config={"threads": 1}) as database:
            database.execute(
                f"CREATE TABLE verdicts ({', '.join(f'{name} {names[kind]}' for name, kind in fields.items())})"
            )

            def insert(rows: list[list[Any]]) -> None:
                database.register("chunk", pyarrow.Table.from_batches([arrow_batch(rows, schema)]))
                database.execute("INSERT INTO verdicts SELECT * FROM chunk")
                database.unregister("chunk")

            chunks = _Chunks(with_text, insert)
            yield chunks
            chunks.flush()
    except duckdb.Error as error:
        raise ResultsError(f"cannot write {path}: {' '.join(str(error).split())[:200]}") from error


@contextmanager
def _excel(path: Path, with_text: bool) -> Iterator[Writer]:
    needed("xlsxwriter", path)
    from xlsxwriter import Workbook
    from xlsxwriter.exceptions import XlsxWriterException

    path.open("xb").close()  # the library finds out only at the end
    # Texts stay texts: neither formulas nor links nor numbers are made of them.
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book = Workbook(str(path), options)
    book.set_properties({"created": _EPOCH})  # the same rows give the same bytes
    try:
        try:
            yield _Excel(book, with_text)
        finally:
            book.close()  # of an aborted run too: it lets go of its temporary files
    except XlsxWriterException as error:
        raise ResultsError(f"cannot write {path}: {error}") from error


class _Excel:
    def __init__(self, book: Any, with_text: bool) -> None:
        self._book, self._with_text = book, with_text
        self._sheets = 0
        self._open_sheet()

    def _open_sheet(self) -> None:
        self._sheets += 1
        self._sheet = self._book.add_worksheet("verdicts" if self._sheets == 1 else f"verdicts {self._sheets}")
        self._sheet.freeze_panes(1, 0)
        self._sheet.write_row(0, 0, list(columns(self._with_text)))
        self._next = 1

    def write(self, row: Mapping[str, Any]) -> None:
        if self._next == SHEET_ROWS:
            self._open_sheet()
        for at, (name, cell) in enumerate(zip(columns(self._with_text), flat(row, self._with_text), strict=True)):
            if isinstance(cell, str):
                if len(cell) < CELL or not name.endswith("_json"):  # half of a JSON text is none
                    self._sheet.write_string(self._next, at, inert(cell.translate(_NO_XML))[:CELL])
            elif cell is not None:
                self._sheet.write_number(self._next, at, cell)
        self._next += 1


def needed(package: str, path: Path, extra: str = "dumps") -> Any:
    """A package that not every installation has.

    :raises ResultsError: this one has it not.
    """
    from importlib import import_module

    try:
        return import_module(package)
    except ImportError as error:
        raise ResultsError(
            f"{str(path).removesuffix('.partial')}: {package} is not installed; pip install 'ruthan[{extra}]'"
        ) from error


WRITERS: dict[str, Callable[[Path, bool], Any]] = {
    ".jsonl": _json_lines,
    ".csv": _csv,
    ".parquet": _parquet,
    ".xlsx": _excel,
    ".sqlite": _sqlite,
    ".duckdb": _duckdb,
}
