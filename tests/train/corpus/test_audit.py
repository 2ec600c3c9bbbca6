import csv
from dataclasses import replace
from pathlib import Path

import pytest

from train.corpus.__main__ import main
from train.corpus.audit import alike_texts, doubtful_labels, doubtful_rows
from train.corpus.records import Record, record_line

LABELS = ("gambling", "parcel", "benign")


def test_a_wrong_label_is_among_the_first_to_look_at(tmp_path: Path, records: list[Record]) -> None:
    some = [replace(record, pair=None) for label in LABELS for record in records if record.label == label][:700]
    victim = next(
        at
        for at, record in enumerate(some)
        if record.label == "gambling" and "สล็อต" in record.text and record.lang == "th"
    )
    some[victim] = replace(some[victim], label="parcel", family="alone")
    path = tmp_path / "c.jsonl"
    path.write_text("".join(map(record_line, some)), encoding="utf-8")
    doubts = doubtful_labels([path])
    assert some[victim].id in [doubt.record.id for doubt in doubts[:20]]
    doubt = next(doubt for doubt in doubts if doubt.record.id == some[victim].id)
    assert doubt.suggested == "gambling"
    assert doubt.place == f"{path}:{victim + 1}"


def test_texts_that_are_alike_are_shown_the_nearest_first(tmp_path: Path, records: list[Record]) -> None:
    one = replace(records[0], id="x", family="x", pair=None)
    path = tmp_path / "c.jsonl"
    some = [replace(record, pair=None) for record in records[:30]]
    path.write_text("".join(map(record_line, [*some, one])), encoding="utf-8")
    first = alike_texts([path])[0]
    assert (first.similarity, {record.id for record in first.records}) == (1.0, {records[0].id, "x"})


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory: pytest.TempPathFactory, records: list[Record]) -> Path:
    """A corpus in which every tenth parcel message is called gambling."""
    some = [
        replace(record, pair=None)
        for label in ("gambling", "parcel")
        for record in [record for record in records if record.label == label][:100]
    ]
    wrong = [at for at, record in enumerate(some) if record.label == "parcel"][::10]
    for at in wrong:
        some[at] = replace(some[at], label="gambling", family=f"alone-{at}")
    path = tmp_path_factory.mktemp("audit") / "c.jsonl"
    path.write_text("".join(map(record_line, some)), encoding="utf-8")
    return path


def test_doubtful_rows_are_plain_and_no_more_than_asked_for(doubtful: Path) -> None:
    rows = doubtful_rows([doubtful], 3)
    assert [list(row) for row in rows] == [["place", "id", "label", "suggested", "confidence"]] * 3
    assert all(row["label"] != row["suggested"] and 0 <= row["confidence"] <= 1 for row in rows)
    assert [row["confidence"] for row in rows] == sorted(row["confidence"] for row in rows)


@pytest.mark.parametrize("texts", [False, True])
def test_the_table_holds_texts_only_where_asked_for(
    doubtful: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], texts: bool
) -> None:
    out = tmp_path / "audit.csv"
    options = ["--most", "4", "--out", str(out), *(["--texts"] if texts else [])]
    assert main(["--corpus", str(doubtful), "audit", *options]) == 0
    assert capsys.readouterr().out == f"4 doubtful labels in {out}\n"
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["place", "id", "label", "suggested", "confidence", *(["text"] if texts else [])]
    assert rows[0]["place"].startswith(f"{doubtful}:")
    assert len(rows) == 4


def test_audit_options_that_make_no_sense_are_refused(doubtful: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--corpus", str(doubtful), "audit", "--texts"]) == 2
    assert "--texts belongs to --out FILE" in capsys.readouterr().err
    assert main(["--corpus", str(doubtful), "audit", "--most", "0"]) == 2
    assert "--most is 0" in capsys.readouterr().err
