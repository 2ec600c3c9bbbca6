import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ruthan.taxonomy import BENIGN
from train.corpus.challenge import keep_apart, read_challenge, read_challenges
from train.corpus.records import Record
from train.errors import CorpusError

SHIPPED = Path(__file__).parents[3] / "data" / "challenge"


def write(folder: Path, **changes: Any) -> Path:
    row = {
        "id": "c1", "text": "ยินดีด้วยค่ะ คุณได้รับสิทธิ์กู้เงินวันนี้ แอดไลน์ {lineid}", "label": "loan", "kind": None,
        "lang": "th", "channel": "sms", "family": "c1", "pair": None, "origin": "authored", "hard": False,
        "why": "it asks", "disguise": None, **changes,
    }  # fmt: skip
    path = folder / "some.jsonl"
    path.write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def test_the_shipped_sets_ask_what_they_promise() -> None:
    sets = {name: [entry for _, entry in entries] for name, entries in read_challenges(SHIPPED).items()}
    assert sets.keys() == {"evasion", "languages", "lookalike", "must_catch", "must_pass", "trafficking"}
    assert all(entry.record.label != BENIGN and entry.why for entry in sets["must_catch"])
    assert all(entry.record.label == BENIGN and entry.why for entry in sets["must_pass"])
    assert {entry.record.lang for entry in sets["languages"]} >= {"en", "zh", "my", "lo", "km", "vi"}
    clean = {entry.record.id: entry for entry in sets["evasion"] if not entry.disguise}
    for entry in sets["evasion"]:
        if entry.disguise:
            assert entry.record.pair is not None
            assert entry.record.label == clean[entry.record.pair].record.label
            assert entry.record.text != clean[entry.record.pair].record.text


def test_a_training_text_near_a_challenge_text_stops_the_run(tmp_path: Path, records: list[Record]) -> None:
    write(tmp_path)
    keep_apart(records[:50], tmp_path)
    near = replace(records[0], text="ยินดีด้วยค่ะ!! คุณได้รับสิทธิ์กู้เงิน 5,000 วันนี้ แอดไลน์เลย {lineid}")
    with pytest.raises(CorpusError, match=rf"{near.id} is \d+% like c1 at .*:1, which must never be trained on"):
        keep_apart([*records[:50], near], tmp_path)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [({"why": 3}, ":1: why must be a text or null"), ({"label": "x"}, ":1: label 'x' is not one of")],
)
def test_a_broken_entry_is_named(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(CorpusError, match=complaint):
        read_challenge(write(tmp_path, **change))


def test_a_missing_folder_is_named_with_a_way_out(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="--set challenge=null"):
        read_challenges(tmp_path)
