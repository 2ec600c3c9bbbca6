import json
from pathlib import Path

import pytest

from train.corpus.near_duplicates import text_digest
from train.errors import CorpusError
from train.evaluation.labelled import mask_digits, mask_links, read_labelled

RECORD = {"id": "a-1", "text": "กด {shortlink}", "label": "loan", "family": "a-1", "kind": None, "channel": "sms"}


def write(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_only_what_is_held_out_is_read_and_missing_labels_may_be_assumed(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", {"text": "กู้เงินด่วน", "label": "loan"}, {"text": "ถึงบ้านยัง", "label": "benign"})
    held_out = read_labelled(path, held_out=frozenset([text_digest("ถึงบ้านยัง")]))
    assert (held_out.texts, held_out.labels, held_out.unlabelled) == (["ถึงบ้านยัง"], ["benign"], 0)
    with pytest.raises(CorpusError, match="no labelled message of those held out"):
        read_labelled(path, held_out=frozenset())
    posts = write(tmp_path / "posts.jsonl", {"text": "หิวข้าว"}, {"text": "?", "label": None})
    assumed = read_labelled(posts, assume="benign")
    assert (assumed.texts, assumed.labels, assumed.unlabelled) == (["หิวข้าว"], ["benign"], 1)


def test_the_slots_of_a_record_are_filled_and_the_braces_of_a_message_left_alone(tmp_path: Path) -> None:
    message = {"text": "{shortlink} {{}", "label": "benign", "id": 7}
    found = read_labelled(write(tmp_path / "a.jsonl", RECORD, message))
    assert "{" not in found.texts[0]
    assert found.texts[1] == "{shortlink} {{}"
    assert found.texts == read_labelled(tmp_path / "a.jsonl").texts
    with pytest.raises(CorpusError, match=":1: text has unknown slot"):
        read_labelled(write(tmp_path / "b.jsonl", RECORD | {"text": "{nonsense}"}))


def test_a_missing_field_is_not_a_null(tmp_path: Path) -> None:
    fields = read_labelled(write(tmp_path / "a.jsonl", RECORD, {"text": "x", "label": "benign", "lang": 7})).fields
    assert fields["kind"] == ["none", "not stated"]
    assert fields["channel"] == ["sms", "not stated"]
    assert fields["lang"] == ["not stated", "not stated"]


def test_masked_links_leave_the_rest_alone() -> None:
    assert mask_links("กด https://bit.ly/x1 หรือ a-b.cc เลย 081-234-5678") == "กด ลิงก์ หรือ ลิงก์ เลย 081-234-5678"
    assert mask_links("แอด line.me/ti/p/~abc12 หรือ t.me/jobs_th") == "แอด ลิงก์ หรือ ลิงก์"
    assert mask_links("ไม่มี") == "ไม่มี"


def test_masked_digits_keep_their_number() -> None:
    assert mask_digits("โอน ๕,๐๐๐ โทร 081") == "โอน 0,000 โทร 000"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"text": "x"}', ":1: a line needs the fields text and label"),
        ("nonsense", ":1: not valid JSON"),
        ('{"text": "x", "label": "phishing"}', ":1: unknown label 'phishing'"),
        ('{"text": "x", "label": ["loan"]}', ":1: unknown label"),
        ('{"text": "x", "label": null}', "holds no labelled message"),
        ("", "holds no labelled message"),
    ],
)
def test_labelled_messages_that_cannot_be_used_are_named(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CorpusError, match=complaint):
        read_labelled(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"cannot read .*nowhere\.jsonl"):
        read_labelled(tmp_path / "nowhere.jsonl")
