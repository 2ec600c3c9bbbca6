import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from serve.engine.answer import digest_of
from serve.main import main
from serve.settings import Settings
from serve.storage import feedback, keys, migrate
from serve.storage.database import Database
from serve.storage.feedback import Given

LURE = "คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงิน โทร 081-000-5678"
NEAR = "คุณได้รับอนุมัติวงเงินกู้ 50,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 900 บาทก่อนรับเงิน โทร 081-000-1234"
CHAT = "ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ อย่าลืมเอกสารชุดใหม่มาด้วย"
NOTICE = "บัญชีของท่านมีเงินเข้าจำนวนหนึ่ง ตรวจสอบได้ในแอปของธนาคารตามปกติ ขอบคุณที่ใช้บริการ"

Command = Callable[..., str]


@pytest.fixture
def command(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command of `ruthan-serve` with a database of its own, and gives what it prints."""
    monkeypatch.setenv("RUTHAN_DATABASE_URL", database_url)
    monkeypatch.setenv("RUTHAN_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments: str, code: int = 0) -> str:
        assert main(arguments) == code
        said = capsys.readouterr()
        return said.out if code == 0 else said.err

    return run


def give(url: str, **given: object) -> None:
    database = Database(url)
    migrate.upgrade(database)
    given = {"label": "loan", "verdict": {"label": "benign"}, **given}
    owner, settings = str(given.pop("owner", "k1")), Settings(store_text=bool(given.pop("kept", False)))
    with closing(database), database.session() as session:
        feedback.add(session, Given(**given), owner, settings)  # type: ignore[arg-type]


def test_a_key_is_shown_once_listed_exchanged_and_taken_back(command: Command) -> None:
    key = command("keys", "create", "hotline", "--scope", "scan", "--scope", "feedback", "--rate", "60").strip()
    assert keys.FORM.fullmatch(key)
    number = key.split("_")[1]
    listed = command("keys", "list")
    assert re.search(rf"{number} +hotline +scan feedback +60 .* good", listed)
    assert key.split("_", 2)[2] not in listed
    new = command("keys", "rotate", number, "--grace", "0").strip()
    assert keys.FORM.fullmatch(new)
    assert "expired" in command("keys", "list")
    assert "opens nothing any more" in command("keys", "revoke", new.split("_")[1])
    assert "revoked" in command("keys", "list")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("keys", "create", "x"), "opens nothing"),
        (("keys", "create", "x", "--scope", "root"), "no scope 'root'"),
        (("keys", "revoke", "nosuch"), "no key 'nosuch'"),
        (("texts", "erase", "abc"), "no SHA-256"),
        (("feedback", "export", "out.csv"), "has to end in .jsonl"),
    ],
)
def test_what_cannot_be_done_is_one_line(command: Command, arguments: tuple[str, ...], told: str) -> None:
    said = command(*arguments, code=2)
    assert told in said
    assert said.count("\n") == 1
    assert said.startswith("ruthan-serve: ")


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "create", "x", "--rate", "-1"),
        ("keys", "create", "x", "--expires", "-1"),
        ("keys", "create", "x", "--expires", "inf"),
        ("keys", "rotate", "x", "--grace", "nan"),
        ("feedback", "list", "--top", "all"),
        ("feedback", "list", "--since", "yesterday"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(
    command: Command, arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command(*arguments)
    assert ended.value.code == 2
    assert f"{arguments[-1]!r}" in capsys.readouterr().err


def test_the_database_is_brought_up_to_date(command: Command) -> None:
    assert "ruthan-serve database upgrade" in command("database", "check", code=2)
    assert "up to date" in command("database", "upgrade")
    assert "up to date" in command("database", "check")


def test_feedback_is_listed_by_near_duplicates_with_its_conflicts(command: Command, database_url: str) -> None:
    give(database_url, text=LURE)
    give(database_url, text=NEAR, owner="k2", label="benign", kind="marketing")
    give(database_url, text=CHAT, label="benign", kind="personal")
    listed = command("feedback", "list")
    assert "2 messages with their near-duplicates; reviewers disagree on 1" in listed
    assert re.search(r"2 +2 +benign 2 +(benign 1, loan 1|loan 1, benign 1) +\(conflict\)", listed)
    assert digest_of(CHAT)[:16] in listed
    assert digest_of(CHAT)[:16] not in command("feedback", "list", "--conflicts")


def test_where_reviewers_disagree_it_is_shown_who_says_what_and_why(command: Command, database_url: str) -> None:
    give(database_url, text=LURE, reviewer="ผู้ตรวจ-07", comment="ให้โอนค่าค้ำประกันก่อน โทร 081-234-5678")
    give(database_url, text=NEAR, owner="k2", reviewer="a\x1b[2Jb", label="benign", kind="marketing")
    listed = command("feedback", "list", "--conflicts")
    lines = [" ".join(line.split()) for line in listed.splitlines()]
    one, other = digest_of(LURE)[:16], digest_of(NEAR)[:16]
    assert any(f"{one} k1 ผู้ตรวจ-07 benign loan ให้โอนค่าค้ำประกันก่อน โทร 081-xxx-x678" in line for line in lines)
    assert any(re.search(rf"{other} k2 a.*b benign benign, marketing", line) for line in lines)
    assert "\x1b" not in listed


def test_who_contradicts_what_was_exported_is_left_out(command: Command, database_url: str, tmp_path: Path) -> None:
    give(database_url, text=LURE, kept=True)
    assert "1 labelled texts" in command("feedback", "export", str(tmp_path / "first.jsonl"))
    give(database_url, text=NEAR, owner="k2", label="benign", kind="marketing", kept=True)
    said = command("feedback", "export", str(tmp_path / "second.jsonl"))
    assert "0 labelled texts" in said
    assert "1 left out, reviewers disagree" in said
    assert not (tmp_path / "second.jsonl").exists()


def test_texts_that_the_corpus_could_not_take_do_not_spoil_an_export(
    command: Command, database_url: str, tmp_path: Path
) -> None:
    from train.corpus.add import add

    half = f"{CHAT} \ud83d\x00"
    for text in (" ", "ก" * 20_001, half):
        give(database_url, text_digest=digest_of(text), label="benign", kind="personal")
    dump = tmp_path / "chats.jsonl"
    dump.write_text("".join(json.dumps({"text": text}) + "\n" for text in (" ", "ก" * 20_001, half)), "utf-8")
    out = tmp_path / "out.jsonl"
    said = command("feedback", "export", str(out), "--texts", str(dump))
    assert "1 labelled texts" in said
    assert "2 left out, no text" in said
    assert len(add(out, [], tmp_path / "corpus.jsonl", "hotline-2026").records) == 1


def test_exported_feedback_is_filed_in_the_corpus(command: Command, database_url: str, tmp_path: Path) -> None:
    from train.corpus.add import add
    from train.corpus.records import read_corpus

    give(database_url, text=LURE, kept=True)
    give(database_url, text=NEAR, kept=True)
    give(database_url, text=CHAT, label="benign", kind="personal", channel="chat", kept=True)
    give(database_url, text=NOTICE, label="benign", kind="transactional", owner="k1")  # whose text was not kept
    give(database_url, text_digest=digest_of("x" * 30), owner="k1")
    out = tmp_path / "reviewed.jsonl"
    dump = tmp_path / "inbox.csv"
    dump.write_text(f'text\n"{NOTICE}"\n"{LURE}"\n', "utf-8")
    said = command("feedback", "export", str(out), "--texts", str(dump))
    assert "3 labelled texts" in said
    assert "1 left out, no text is kept" in said
    filed = add(out, [], tmp_path / "corpus.jsonl", "hotline-2026")
    assert filed.left_out == []
    records = read_corpus([tmp_path / "corpus.jsonl"])
    assert {(each.label, each.kind, each.channel) for each in records} == {
        ("loan", None, "chat"),
        ("benign", "personal", "chat"),
        ("benign", "transactional", "chat"),
    }
    assert command("feedback", "export", str(tmp_path / "again.jsonl")).startswith("0 labelled texts")
    assert "is there already" in command("feedback", "export", str(out), "--all", code=2)
    assert "2 labelled texts" in command("feedback", "export", str(tmp_path / "all.jsonl"), "--all")


def test_reviewers_who_disagree_are_left_out_unless_most_agree(
    command: Command, database_url: str, tmp_path: Path
) -> None:
    for reviewer, label in (("a", "loan"), ("b", "loan"), ("c", "prize")):
        give(database_url, text=CHAT, label=label, reviewer=reviewer, kept=True)
    said = command("feedback", "export", str(tmp_path / "out.jsonl"))
    assert "1 left out, reviewers disagree" in said
    command("feedback", "export", str(tmp_path / "most.jsonl"), "--majority")
    [record] = (tmp_path / "most.jsonl").read_text("utf-8").splitlines()
    assert json.loads(record) == {"text": CHAT, "label": "loan"}


def test_texts_are_erased_by_their_digest(command: Command, database_url: str) -> None:
    give(database_url, text=CHAT, kept=True)
    assert "erased 1 texts" in command("texts", "erase", digest_of(CHAT))
    assert "erased 0 texts" in command("texts", "sweep")
