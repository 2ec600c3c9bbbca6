from dataclasses import replace
from pathlib import Path

from train.corpus.audit import alike_texts, doubtful_labels
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
