import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from train.config import TrainConfig, read_config
from train.corpus.near_duplicates import text_digest
from train.corpus.records import UNLABELLED
from train.corpus.sources import Source, draw, read_source
from train.errors import ConfigError, CorpusError
from train.slots import prepare

ROOT = Path(__file__).parents[3]


def write(tmp_path: Path, *rows: Any, name: str = "real.jsonl") -> str:
    path = tmp_path / name
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_rows_become_records_with_the_sources_defaults(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {"text": "พัสดุถึงแล้ว", "kind": "otp"},
        {"text": "สวัสดี", "kind": "unknown"},
        {"text": "กู้ง่าย", "label": "loan", "lang": "en"},
        {"text": "?", "label": None, "kind": "unknown"},
    )
    source = Source(path=path, label="benign", kinds={"otp": "transactional"}, channel="rcs")
    records = read_source(source, 17)
    assert [(record.label, record.kind, record.lang, record.channel) for record in records] == [
        ("benign", "transactional", "th", "rcs"),
        ("loan", None, "en", "rcs"),
    ]
    assert {record.origin for record in records} == {"real"}


def test_what_is_held_out_and_what_repeats_is_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, *({"text": text, "label": "loan"} for text in ("กู้เงินด่วน", "กู้เงิน ด่วน!", "เงินด่วนทันใจ")))
    digests = tmp_path / "list.txt"
    digests.write_text(text_digest("เงินด่วน ทันใจ 9") + "\n", encoding="ascii")
    assert [record.text for record in read_source(Source(path=path, held_out=str(digests)), 1)] == ["กู้เงินด่วน"]


def test_masked_numbers_are_not_learned(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "โทร 000-123-4567", "label": "loan"})
    first, again, other = (read_source(Source(path=path), seed)[0].text for seed in (1, 1, 2))
    assert first == again != other
    assert "000-123" not in first


def test_a_weight_says_how_often_a_text_is_seen_in_a_pass(tmp_path: Path) -> None:
    rows = ({"text": f"ข้อความ{letter * 3}", "label": "spam"} for letter in "กขคงจฉชซฌญ")
    records = read_source(Source(path=write(tmp_path, *rows)), 1)
    assert len(draw(records, 0.3, Random(1))) == 3
    assert draw(records, 0.3, Random(1)) != draw(records, 0.3, Random(2))
    assert sorted(Counter(record.id for record in draw(records, 2.5, Random(1))).values()) == [2] * 5 + [3] * 5


def test_rows_without_a_label_are_read_only_where_the_source_says_so(tmp_path: Path) -> None:
    rows = [
        {"text": "พัสดุถึงแล้ว", "kind": "otp"},
        {"text": "สวัสดี", "kind": "unknown"},
        {"text": "กู้ง่าย", "label": "loan"},
        {"text": "ว่าง", "label": UNLABELLED},
        {"text": " ", "kind": "unknown"},
    ]
    source = Source(path=write(tmp_path, *rows), label="benign", kinds={"otp": "transactional"})
    assert [record.label for record in read_source(source, 1)] == ["benign", "loan"]
    records = read_source(replace(source, unlabelled=True), 1)
    assert [record.label for record in records] == ["benign", UNLABELLED, "loan", UNLABELLED]
    assert [record.kind for record in records] == ["transactional", None, None, None]


def test_a_source_without_any_label_is_for_teachers_only(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "สวัสดี"}, {"text": "ลาก่อน"})
    assert {record.label for record in read_source(Source(path=path, unlabelled=True), 1)} == {UNLABELLED}
    with pytest.raises(CorpusError, match="no row to train on"):
        read_source(Source(path=path), 1)


def test_what_is_kept_for_calibration_is_read_and_what_is_held_out_anywhere_is_not(tmp_path: Path) -> None:
    path = write(tmp_path, *({"text": text, "label": "loan"} for text in ("กู้เงินด่วน", "เงินด่วนทันใจ", "โอนก่อน")))
    digests = tmp_path / "list.txt"
    digests.write_text(text_digest("กู้เงินด่วน") + "\n", encoding="ascii")
    source = Source(path=path, calibration=str(digests))  # who reads it tells them apart, see train.parts
    assert len(read_source(source, 1)) == 3
    assert [record.text for record in read_source(source, 1, frozenset({text_digest("โอนก่อน")}))] == [
        "กู้เงินด่วน",
        "เงินด่วนทันใจ",
    ]


def test_without_kinds_all_rows_are_taken(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "พัสดุถึงแล้ว", "kind": "transactional"}, {"text": "สวัสดี", "kind": ["?"]})
    for kinds in (None, {}):
        records = read_source(Source(path=path, label="benign", kinds=kinds), 1)
        assert [record.kind for record in records] == ["transactional", "other"]


def test_an_id_holds_the_digest_of_the_text_as_it_stood_there(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "000-123-4567", "label": "spam"})
    [record] = read_source(Source(path=path), 1)
    assert record.id == f"real:{text_digest('000-123-4567')}"
    assert text_digest(record.text) != text_digest("000-123-4567")  # no letters: the digits name it


def test_what_only_looks_like_a_slot_is_no_slot(tmp_path: Path) -> None:
    path = write(tmp_path, {"text": "เรียน {name} {scene:A} {a b} กด {shortlink}", "label": "spam"})
    [record] = read_source(Source(path=path), 1)
    assert record.text == "เรียน (name) (scene:A) {a b} กด {shortlink}"
    assert "shortlink" not in prepare(record.text, record.id, 1)


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"label": "loan"}, ":1: text must be a text"),
        ({"text": "x", "label": "phishing"}, ":1: unknown label 'phishing'"),
        ({"text": "x"}, "no row to train on"),
        ([], ":1: a record is a JSON object"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(tmp_path: Path, row: Any, complaint: str) -> None:
    with pytest.raises(CorpusError, match=complaint):
        read_source(Source(path=write(tmp_path, row)), 1)


def test_a_source_that_is_not_there_is_named() -> None:
    with pytest.raises(CorpusError, match=r"no source at nowhere/real\.jsonl"):
        read_source(Source(path="nowhere/real.jsonl"), 1)


def test_a_data_set_is_asked_of_the_hub_with_its_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    asked: dict[str, Any] = {}

    def load(path: str, **options: Any) -> list[dict[str, Any]]:
        asked.update(options, path=path)
        return [{"sms": "ok see you", "category": 0}]

    monkeypatch.setattr(datasets, "load_dataset", load)
    source = Source(path="owner/name", revision="abc", split="test", text_field="sms", label="benign", lang="en")
    assert [record.text for record in read_source(source, 1)] == ["ok see you"]
    assert asked == {"path": "owner/name", "revision": "abc", "split": "test"}


def test_of_equal_texts_the_first_with_a_label_counts(tmp_path: Path) -> None:
    path = tmp_path / "repeats.jsonl"
    rows = [{"text": "ok see you"}, {"text": "ok, see you!", "label": "spam"}, {"text": "OK see you", "label": "loan"}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    [record] = read_source(Source(path=str(path), unlabelled=True), 1)
    assert (record.text, record.label) == ("ok, see you!", "spam")


def test_a_label_that_is_a_number_is_not_taken_for_none(tmp_path: Path) -> None:
    path = tmp_path / "numbers.jsonl"
    path.write_text('{"text": "ok see you", "label": 1}\n', encoding="utf-8")
    with pytest.raises(CorpusError, match=r"numbers.jsonl:1: label is 1; the name of a class, or null, is needed"):
        read_source(Source(path=str(path), label="benign"), 1)


def test_a_hub_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(CorpusError, match="cannot load the data set owner/name from the hub: no route$"):
        read_source(Source(path="owner/name"), 1)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("x", "a source is a mapping with at least a path"),
        ({"path": "x", "wait": 1}, "unknown field wait"),
        ({"path": "x", "weight": 0}, "weight is 0; expected: above 0"),
        ({"path": "x", "weight": "much"}, "weight is 'much'"),
        ({"path": "x", "label": "phishing"}, "label is 'phishing'"),
        ({"path": "x", "kinds": {"a": "b"}}, "kinds is"),
        ({"path": "x", "channel": "fax"}, "channel is 'fax'"),
        ({"path": "x", "label": UNLABELLED}, "label is 'unlabelled'"),
        ({"path": "x", "unlabelled": "yes"}, "unlabelled is 'yes'"),
        ({"path": "x", "unlabelled": None}, "unlabelled is None"),
        ({"path": "x", "calibration": ["a"]}, r"calibration is \['a'\]"),
        ({"path": "x", "weight": True}, "weight is True"),
        ({"path": "x", "weight": float("nan")}, "weight is nan"),
        ({"path": "x", "text_field": None}, "text_field is None; expected: a name"),
        ({"path": "x", "split": None}, "split is None; expected: a name"),
    ],
)
def test_a_source_that_makes_no_sense_is_an_error_of_the_configuration(value: Any, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Source.from_dict(value)


def test_the_shipped_configuration_with_real_texts_holds_out_what_it_is_judged_on() -> None:
    config = read_config(ROOT / "train/configs/teacher.yaml")
    assert TrainConfig.from_dict(config.to_dict()) == config
    for source in config.sources:
        assert source.attribution
        for path in (source.held_out, source.calibration):
            assert path is None or (ROOT / path).is_file()
    judged = {source.path for source in config.sources if not source.held_out}
    assert judged == {"../shared/datasets/th_bank_alert_fixtures.jsonl"}
