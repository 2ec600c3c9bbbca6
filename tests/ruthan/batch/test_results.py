import csv
import json
import os
from pathlib import Path

import pytest

from ruthan.batch.results import CSV_COLUMNS, ResultsError, json_line, open_results
from ruthan.message import Source
from ruthan.verdict import Evidence, Verdict

VERDICT = Verdict(
    risk=0.9,
    label="loan",
    action="block",
    scores={"loan": 0.9},
    evidence=(Evidence("indicator", "line_id", "@easy", "@easy", 0, 5),),
    reasons=("เหตุผล",),
    reasons_en=("a reason",),
    advice=("คำแนะนำ",),
    advice_en=("advice",),
    needs_help=False,
    recruitment=None,
    model="m",
    policy="p",
    windows=1,
    source=Source("=cmd.csv", 3),
)


def test_json_lines_hold_the_verdict_and_its_source(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    with open_results(path) as writer:
        writer.write(VERDICT)
    [line] = path.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["source"] == {"file": "=cmd.csv", "line": 3}
    assert "เหตุผล" in line


def test_csv_opens_in_a_spreadsheet_with_thai_and_without_formulas(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with open_results(path) as writer:
        writer.write(VERDICT)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    with path.open(encoding="utf-8-sig", newline="") as file:
        header, row = csv.reader(file)
    assert tuple(header) == CSV_COLUMNS
    assert row[0] == "'=cmd.csv"
    assert dict(zip(header, row, strict=True))["evidence"] == "line_id @easy"


def test_an_aborted_run_leaves_the_old_results_and_no_half_file(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(RuntimeError), open_results(path) as writer:
        writer.write(VERDICT)
        raise RuntimeError
    assert path.read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["out.jsonl"]


def test_an_unknown_ending_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"\.jsonl, \.csv"), open_results(tmp_path / "out.xml"):
        pass


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="cannot write .*nowhere"), open_results(tmp_path / "nowhere" / "out.csv"):
        pass


def test_a_file_name_that_is_not_utf8_still_gives_valid_json() -> None:
    line = json_line(Verdict(**{**vars(VERDICT), "source": Source("\udcff.csv", 1)}))
    assert json.loads(line)["source"]["file"] == "\udcff.csv"
