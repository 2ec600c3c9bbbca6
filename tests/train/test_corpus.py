import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ruthan.taxonomy import BENIGN, default_taxonomy
from train.corpus import Record, corpus_digest, read_corpus, split_corpus
from train.errors import CorpusError

CORPUS = Path(__file__).parents[2] / "data" / "corpus"
SHARES = (0.8, 0.1, 0.1)


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return read_corpus([CORPUS])


def row(**changes: Any) -> dict[str, Any]:
    return {
        "id": "a", "text": "ข้อความ", "label": "loan", "kind": None, "lang": "th", "channel": "sms", "family": "a",
        "pair": None, "origin": "authored", "hard": False, **changes,
    }  # fmt: skip


def write(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(json.dumps(each, ensure_ascii=False) for each in rows), encoding="utf-8")
    return path


def test_the_shipped_corpus_is_valid_and_covers_every_class_and_kind(records: list[Record]) -> None:
    taxonomy = default_taxonomy()
    labels = Counter(record.label for record in records)
    assert labels.keys() == set(taxonomy.labels)
    assert min(labels.values()) >= 150
    assert labels[BENIGN] >= len(records) / 2
    assert {record.kind for record in records} == {*taxonomy.kinds, None}


def test_no_identifier_is_written_out(records: list[Record]) -> None:
    written = re.compile(r"https?://|www\.|(?<!\d)0[689]\d[- ]?\d{3}[- ]?\d{4}(?!\d)|\d{9}|\w@\w+\.\w")
    assert [record.id for record in records if written.search(record.text)] == []


def test_no_text_stands_twice(records: list[Record]) -> None:
    texts = Counter(re.sub(r"\{.*?\}|[\W\d]", "", record.text).lower() or record.text for record in records)
    assert [text for text, count in texts.items() if count > 1] == []


def test_families_and_pairs_stay_on_one_side(records: list[Record]) -> None:
    parts = split_corpus(records, 17, SHARES)
    side = {record.id: name for name, part in parts.items() for record in part}
    family_side: dict[str, str] = {}
    for record in records:
        assert family_side.setdefault(record.family, side[record.id]) == side[record.id]
        if record.pair:
            assert side[record.pair] == side[record.id]
    assert sum(map(len, parts.values())) == len(records)
    assert 0.7 < len(parts["train"]) / len(records) < 0.9


def test_more_records_move_none_of_the_old_ones(records: list[Record]) -> None:
    partners = {record.pair for record in records}
    newest = {record.id for record in records if record.pair is None and record.id not in partners}
    before = split_corpus([record for record in records if record.id not in newest], 17, SHARES)
    after = split_corpus(records, 17, SHARES)
    assert 500 < len(newest) < len(records)
    for name, part in before.items():
        assert {record.id for record in part} <= {record.id for record in after[name]}


def test_the_digest_knows_texts_and_labels_and_not_their_order(records: list[Record]) -> None:
    some = records[:50]
    assert corpus_digest(some) == corpus_digest(some[::-1])
    assert corpus_digest(some) != corpus_digest(some[1:])


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


def test_no_corpus_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no corpus at"):
        read_corpus([tmp_path / "nowhere"])
    with pytest.raises(CorpusError, match=r"no \.jsonl file in"):
        read_corpus([tmp_path])
