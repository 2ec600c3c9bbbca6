import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ruthan.taxonomy import BENIGN, default_taxonomy
from train.corpus.records import Record, corpus_digest, read_corpus, record_line
from train.errors import CorpusError


def row(**changes: Any) -> dict[str, Any]:
    return {
        "id": "a", "text": "ข้อความ", "label": "loan", "kind": None, "lang": "th", "channel": "sms", "family": "a",
        "pair": None, "origin": "authored", "hard": False, **changes,
    }  # fmt: skip


def write(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(json.dumps(each) for each in rows), encoding="utf-8")
    return path


def test_the_shipped_corpus_is_valid_and_covers_every_class_and_kind(records: list[Record]) -> None:
    taxonomy = default_taxonomy()
    labels = Counter(record.label for record in records)
    assert labels.keys() == set(taxonomy.labels)
    assert min(labels.values()) >= 150
    assert labels[BENIGN] >= len(records) / 2
    assert {record.kind for record in records} == {*taxonomy.kinds, None}


def test_the_digest_knows_all_that_records_say_and_not_their_order(records: list[Record]) -> None:
    some = records[:50]
    assert corpus_digest(some) == corpus_digest(some[::-1])
    assert corpus_digest(some) != corpus_digest(some[1:])
    for change in ({"family": "x"}, {"pair": "x"}, {"label": "spam"}, {"text": "x"}, {"flags": ("needs_help",)}):
        assert corpus_digest([replace(some[0], **change), *some[1:]]) != corpus_digest(some)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"label": "phishing"}, "label 'phishing' is not one of"),
        ({"lang": "xx"}, "lang 'xx' is not one of"),
        ({"channel": "fax"}, "channel 'fax' is not one of"),
        ({"kind": "news"}, "kind belongs to benign records only"),
        ({"label": "benign"}, "kind None is not one of"),
        ({"text": " "}, "text must be a text that is not empty"),
        ({"text": "{email}"}, "text has unknown slot {email}"),
        ({"hard": "no"}, "hard must be true or false"),
        ({"flags": ["x"]}, "flags must be a list of"),
        ({"pair": "nobody"}, "pair 'nobody' does not exist"),
        ({"text": "ครึ่ง\ud83d"}, "text holds half a character"),
        ({"id": "a\x00"}, "id holds half a character (a lone surrogate) or a null"),
        ({"text": "ก" * 20_001}, "text has 20,001 characters; 20,000 are allowed"),
        ({"label": "โทร 0812345678 หาคุณสมชายด่วน"}, "label 'โทร 0812345678 หาคุ… is not one of"),
        ({"pair": ["ok"]}, "pair must be an id or null"),
        ({"flags": [{}]}, "flags must be a list of"),
        ({"extra": 1}, "unknown field extra"),
    ],
)
def test_a_record_that_breaks_a_rule_is_named_with_file_and_line(
    tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    path = write(tmp_path, row(id="ok", family="ok"), row(**change))
    with pytest.raises(CorpusError, match=re.escape(f"{path}:2: {complaint}")):
        read_corpus([path])


def test_a_missing_field_a_double_id_and_broken_json_are_named(tmp_path: Path) -> None:
    incomplete = row()
    del incomplete["label"]
    with pytest.raises(CorpusError, match="missing field label"):
        read_corpus([write(tmp_path, incomplete)])
    with pytest.raises(CorpusError, match=r":2: id 'a' stands already at .*:1"):
        read_corpus([write(tmp_path, row(), row())])
    with pytest.raises(CorpusError, match="a record is a JSON object, not list"):
        read_corpus([write(tmp_path, [])])
    path = tmp_path / "corpus.jsonl"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(CorpusError, match=":1: not valid JSON"):
        read_corpus([path])


def test_a_family_has_one_label_and_at_most_three_paraphrases(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r":2: family 'a' is loan at .*:1 and spam here"):
        read_corpus([write(tmp_path, row(), row(id="b", label="spam"))])
    assert len(read_corpus([write(tmp_path, *(row(id=str(number)) for number in range(4)))])) == 4
    with pytest.raises(CorpusError, match=":5: family 'a' has more than 4 records"):
        read_corpus([write(tmp_path, *(row(id=str(number)) for number in range(5)))])


def test_blank_lines_and_a_byte_order_mark_are_no_records(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text("\ufeff" + json.dumps(row()) + "\r\n\n", encoding="utf-8")
    assert [record.id for record in read_corpus([path])] == ["a"]


def test_a_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(json.dumps(row(), ensure_ascii=False).encode("cp874"))
    with pytest.raises(CorpusError, match="is not UTF-8"):
        read_corpus([path])


def test_a_record_is_written_as_it_was_read(tmp_path: Path, records: list[Record]) -> None:
    some = [record for record in records if record.flags][:5] + records[:5]
    path = tmp_path / "again.jsonl"
    path.write_text("".join(record_line(replace(record, pair=None)) for record in some), encoding="utf-8")
    assert read_corpus([path]) == [replace(record, pair=None) for record in some]


def test_no_corpus_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no corpus at"):
        read_corpus([tmp_path / "nowhere"])
    with pytest.raises(CorpusError, match=r"no \.jsonl file in"):
        read_corpus([tmp_path])
    with pytest.raises(CorpusError, match="cannot read x+: File name too long"):
        read_corpus([Path("x" * 5_000)])
    (tmp_path / "empty.jsonl").write_text("\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="there is no record in the corpus"):
        read_corpus([tmp_path])


def test_a_file_named_twice_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path, row())
    assert len(read_corpus([path, tmp_path, path])) == 1
