import csv
import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ruthan.batch import results
from ruthan.batch.columns import columns
from ruthan.batch.results import WRITERS, ResultsError, as_written, inert, json_line, open_results
from ruthan.batch.stored import read_results
from ruthan.errors import DataError

ROW: dict[str, Any] = {
    "risk": 0.9,
    "label": "loan",
    "action": "block",
    "scores": {"loan": 0.9, "benign": 0.1},
    "evidence": [{"kind": "indicator", "type": "line_id", "value": "@easy", "text": "@easy", "start": 0, "end": 5}],
    "reasons": ["เหตุผล"],
    "reasons_en": ["a reason"],
    "advice": ["คำแนะนำ"],
    "advice_en": ["advice"],
    "needs_help": False,
    "recruitment": {"strong": 1, "medium": 0, "weak": 2},
    "model": "m",
    "policy": "p",
    "windows": 1,
    "source": {"file": "=cmd.csv", "line": 3},
    "message": {
        "id": "0" * 16,
        "template": "1" * 16,
        "channel": "sms",
        "sender": "+66810005678",
        "sent_at": "2026-10-02T08:54:00+07:00",
        "thread": "@ห้อง",
        "text": '=HYPERLINK("http://example.com") @easy\nสองบรรทัด',
    },
}
ENDINGS = list(WRITERS)


@pytest.fixture(params=ENDINGS)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file of results to be, in each form."""
    return tmp_path / f"out{request.param}"


def write(path: Path, rows: list[dict[str, Any]], with_text: bool = True) -> None:
    with open_results(path, with_text) as writer:
        for row in rows:
            writer.write(row)


def test_what_was_written_is_read_back(path: Path) -> None:
    write(path, [ROW, ROW | {"risk": 0.25}])
    first, second = read_results(path)
    assert second["risk"] == 0.25
    for name in ("risk", "label", "action", "scores", "evidence", "needs_help", "recruitment", "model", "source"):
        assert first[name] == ROW[name], name
    assert first["message"] == ROW["message"]


# A DuckDB file holds an id that is drawn anew each time.
@pytest.mark.parametrize("path", [ending for ending in ENDINGS if ending != ".duckdb"], indirect=True)
def test_the_same_rows_give_the_same_bytes(path: Path, tmp_path: Path) -> None:
    write(path, [ROW] * 300)
    again = tmp_path / f"again{path.suffix}"
    write(again, [ROW] * 300)
    assert path.read_bytes() == again.read_bytes()


def test_rows_of_more_than_one_batch_keep_their_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "ROWS", 7)
    write(path, [ROW | {"source": {"file": "a.csv", "line": line}} for line in range(1, 31)])
    assert [row["source"]["line"] for row in read_results(path)] == list(range(1, 31))


def test_no_rows_make_an_empty_file_that_reads_back(path: Path) -> None:
    write(path, [])
    assert list(read_results(path)) == []


def test_an_aborted_run_leaves_the_old_results_and_no_half_file(path: Path, tmp_path: Path) -> None:
    path.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), open_results(path) as writer:
        writer.write(ROW)
        raise RuntimeError
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == [path.name]


def test_what_a_killed_run_left_is_in_nobodys_way(path: Path, tmp_path: Path) -> None:
    (tmp_path / f"{path.name}.partial").write_bytes(b"half a fi")
    write(path, [ROW])
    assert len(list(read_results(path))) == 1
    assert os.listdir(tmp_path) == [path.name]


def test_half_characters_are_written_as_escapes(path: Path) -> None:
    write(path, [ROW | {"message": ROW["message"] | {"text": "โอน\ud83dด่วน"}}])
    [row] = read_results(path)
    assert row["message"]["text"] in ("โอน\\ud83dด่วน", "โอน\ud83dด่วน")


# JSON lines have no columns: a row holds what it holds.
@pytest.mark.parametrize("path", [ending for ending in ENDINGS if ending != ".jsonl"], indirect=True)
def test_without_texts_no_text_sender_or_thread_has_a_column(path: Path) -> None:
    write(path, [ROW], with_text=False)
    assert b"HYPERLINK" not in path.read_bytes()
    [row] = read_results(path)
    assert "text" not in row["message"]
    assert "thread" not in row["message"]


def test_something_else_is_refused_with_its_place(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 no results \xff\n" * 3)
    with pytest.raises(DataError, match=path.name):
        list(read_results(path))


def test_a_file_that_is_not_there_is_said_to_be_missing(path: Path) -> None:
    with pytest.raises(DataError, match=path.name):
        list(read_results(path))


def test_a_folder_that_is_not_there_is_said_to_be_missing(path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot write"), open_results(path.parent / "missing" / path.name) as writer:
        writer.write(ROW)


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"\.jsonl"), open_results(tmp_path / "out.docx"):
        pass
    with pytest.raises(DataError, match=r"\.jsonl"):
        list(read_results(tmp_path / "out.docx"))


@pytest.mark.parametrize(
    ("ending", "package"), [(".parquet", "pyarrow"), (".duckdb", "duckdb"), (".xlsx", "xlsxwriter")]
)
def test_a_missing_package_is_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ResultsError, match=r"pip install 'ruthan\[dumps\]'"), open_results(tmp_path / f"out{ending}"):
        pass


def test_csv_opens_in_a_spreadsheet_with_thai_and_without_formulas(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    write(path, [ROW])
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, cells = csv.reader(file)
    assert header == list(columns(with_text=True))
    named = dict(zip(header, cells, strict=True))
    assert named["file"] == "'=cmd.csv"
    assert named["sender"] == "'+66810005678"
    assert named["text"].startswith("'=HYPERLINK")
    assert named["evidence"] == "line_id @easy"


def test_excel_cells_are_texts_not_formulas_and_no_longer_than_excel_allows(tmp_path: Path) -> None:
    from python_calamine import CalamineWorkbook

    path = tmp_path / "out.xlsx"
    long = ROW | {"evidence": ROW["evidence"] * 2_000}
    write(path, [ROW, long])
    rows = CalamineWorkbook.from_path(str(path)).get_sheet_by_index(0).to_python()
    named = dict(zip(rows[0], rows[1], strict=True))
    assert str(named["text"]).startswith("'=HYPERLINK")
    assert max(len(str(cell)) for cell in rows[2]) <= results.CELL
    assert len(list(read_results(path))) == 2


def test_excel_goes_on_in_a_further_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "SHEET_ROWS", 11)
    path = tmp_path / "out.xlsx"
    write(path, [ROW | {"windows": number} for number in range(25)])
    assert [row["windows"] for row in read_results(path)] == list(range(25))


def test_a_database_answers_questions(tmp_path: Path) -> None:
    path = tmp_path / "out.sqlite"
    write(path, [ROW, ROW | {"label": "benign", "risk": 0.1}])
    database = sqlite3.connect(path)
    assert database.execute("SELECT label FROM verdicts WHERE risk > 0.5").fetchall() == [("loan",)]
    database.close()


def test_a_line_of_json_is_one_line_whatever_the_text() -> None:
    line = json_line(ROW)
    assert line.count(b"\n") == 1
    assert json.loads(line) == ROW


def test_a_pipe_is_written_to_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "out.jsonl"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(pipe, [ROW])
        assert json.loads(os.read(reader, 65_536))["label"] == "loan"
    finally:
        os.close(reader)
    assert os.listdir(tmp_path) == ["out.jsonl"]


@pytest.mark.parametrize("cell", ["=1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "＝1", "＠a"])
def test_a_formula_is_made_inert_and_read_back_as_it_was(cell: str) -> None:
    assert inert(cell) == f"'{cell}"
    assert as_written(inert(cell)) == cell
    assert as_written("'tis") == "'tis"
