import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from train.corpus.__main__ import main
from train.corpus.check import check
from train.corpus.near_duplicates import text_digest

LURE = "ยินดีด้วยค่ะ คุณได้รับสิทธิ์กู้เงินวันนี้ แอดไลน์ {lineid}"


def row(name: str, text: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": name, "text": text, "label": "loan", "kind": None, "lang": "th", "channel": "sms", "family": name,
        "pair": None, "origin": "authored", "hard": False, **changes,
    }  # fmt: skip


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(each, ensure_ascii=False) + "\n" for each in rows), encoding="utf-8")
    return path


def problems(tmp_path: Path, *rows: dict[str, Any]) -> list[str]:
    return check([write(tmp_path / "c.jsonl", *rows)], None, None, complete=False).problems


def test_texts_that_differ_are_in_order(tmp_path: Path) -> None:
    assert problems(tmp_path, row("a", LURE), row("b", "พรุ่งนี้ฝนจะตกหนักทั่วภาคใต้ ชาวเรือควรระวังคลื่นลม")) == []


def test_the_same_text_twice_is_found(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, row("a", LURE), row("b", LURE.replace("วันนี้", "วันนี้!! 5,000")))
    assert "c.jsonl:2: b says the same as a at" in problem


def test_nearly_the_same_text_is_found_but_not_within_a_family_or_pair(tmp_path: Path) -> None:
    near = LURE.replace("แอดไลน์", "แอดไลน์มาคุยกันเลย")
    (problem,) = problems(tmp_path, row("a", LURE), row("b", near))
    assert "like a at" in problem
    assert problems(tmp_path, row("a", LURE), row("b", near, family="a")) == []
    assert problems(tmp_path, row("a", LURE), row("b", near, pair="a")) == []


def test_an_identifier_written_out_is_found(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, row("a", "โทร 081-234-5678 ด่วน"))
    assert "a has a phone number written out (081-234-5678); use a slot" in problem


def test_a_text_near_a_challenge_or_held_out_for_judging_is_found(tmp_path: Path) -> None:
    corpus = write(tmp_path / "c.jsonl", row("a", LURE))
    challenge = write(tmp_path / "challenge" / "x.jsonl", row("z", LURE + " จ้า", why="x", disguise=None)).parent
    splits = tmp_path / "splits"
    splits.mkdir()
    (splits / "real.txt").write_text(text_digest(LURE) + "\n", encoding="ascii")
    near, held_out = check([corpus], challenge, splits, complete=False).problems
    assert "c.jsonl:1: a is " in near
    assert "which must never be trained on" in near
    assert "real.txt holds out for judging" in held_out


def test_a_corpus_that_is_too_small_or_too_harmful_is_said_to_be(tmp_path: Path) -> None:
    honest = [row(str(n), f"ข้อความ {'กขคงจฉชซ'[n] * 9}", label="benign", kind="other") for n in range(5)]
    lures = [row(f"h{n}", f"กู้เงิน {'ดตถทธนบป'[n] * 9}") for n in range(6)]
    found = check([write(tmp_path / "c.jsonl", *honest, *lures)], None, None).problems
    assert any("6 of 11 families are harmful; at most 50% may be" in problem for problem in found)
    assert any("trafficking has 0 families, 600 are promised" in problem for problem in found)
    assert any("en has 0 families" in problem for problem in found)


def test_a_word_and_a_length_that_give_the_label_away_are_shortcuts(tmp_path: Path) -> None:
    letters = "กขคงจฉชซดตถทธนบปผพฟมยรลวสหอฮ"
    honest = [
        row(f"b{n}", f"สวัสดี{a}{b}", label="benign", kind="other")
        for n, (a, b) in enumerate(itertools.pairwise(letters))
    ]
    lures = [row(f"h{n}", f"สมัครเลย {a * 9} {b * 9} " * 3) for n, (a, b) in enumerate(itertools.pairwise(letters))]
    found = check([write(tmp_path / "c.jsonl", *honest, *lures)], None, None).problems
    assert any("shortcut: length tell harmful from honest with AUC 1.00" in problem for problem in found)
    assert any("shortcut: 'สมัคร" in problem for problem in found)


def test_the_command_prints_tables_and_ends_with_1_if_something_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    good = write(tmp_path / "good.jsonl", row("a", LURE))
    bad = write(tmp_path / "bad.jsonl", row("a", "โทร 0812345678"))
    broken = write(tmp_path / "broken.jsonl", row("a", LURE, label="x"))
    assert main(["--corpus", str(good), "check"]) == 0
    assert "| loan |" in (out := capsys.readouterr().out)
    assert out.endswith("the corpus is in order\n")
    assert main(["--corpus", str(bad), "check", "--quiet"]) == 1
    assert capsys.readouterr().out.endswith("1 problems\n")
    assert main(["--corpus", str(broken), "check"]) == 2
    assert "broken.jsonl:1: label 'x' is not one of" in capsys.readouterr().err


def test_the_commands_add_hold_out_and_audit_say_what_they_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpus = write(tmp_path / "c.jsonl", row("a", LURE))
    new = write(tmp_path / "new.jsonl", {"text": "รับซื้อบัญชีม้า โทร 0812345678", "label": "mule_account"})
    target = tmp_path / "c.jsonl"
    assert main(["--corpus", str(corpus), "add", str(new), "--to", str(target), "--origin", "x"]) == 0
    assert "1 texts filed in" in capsys.readouterr().out
    assert main(["hold-out", str(target), "--share", "1", "--to", str(tmp_path / "list.txt")]) == 0
    assert "2 of 2 texts held out" in capsys.readouterr().out
    assert main(["--corpus", str(corpus), "audit"]) == 2
    assert "too few records to audit" in capsys.readouterr().err
    assert main(["--corpus", str(corpus), "add", str(new), "--origin", "x"]) == 2
    assert "is no folder; say with --to FILE" in capsys.readouterr().err


def test_texts_go_into_the_corpus_that_was_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "mine" / "c.jsonl", row("a", LURE))
    new = write(tmp_path / "new.jsonl", {"text": "รับซื้อบัญชีม้า", "label": "mule_account"})
    assert main(["--corpus", "mine", "add", str(new), "--origin", "x"]) == 0
    assert (tmp_path / "mine" / "new.jsonl").is_file()
