import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from serve.engine.answer import digest_of
from serve.problems import Problem
from serve.settings import Settings
from serve.storage import feedback
from serve.storage.database import Database
from serve.storage.feedback import CHANNELS, LANGUAGES, LONGEST_TEXT, Given
from serve.storage.tables import Feedback

LURE = "คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงิน แอดไลน์ @easyloan-th"
NEAR = "คุณได้รับอนุมัติวงเงินกู้ 50,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 900 บาทก่อนรับเงิน แอดไลน์ @loanfast-th"
REWORDED = "ท่านได้รับอนุมัติวงเงินกู้ 50,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 900 บาทก่อนรับเงิน แอดไลน์ @loanfast-th"
CHAT = "ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ อย่าลืมเอกสารชุดใหม่มาด้วย"


def add(database: Database, settings: Settings, owner: str = "k1", **given: object) -> feedback.Kept:
    with database.session() as session:
        return feedback.add(session, Given(**{"label": "loan", "verdict": {}, **given}), owner, settings)  # type: ignore[arg-type]


def rows(database: Database) -> list[Feedback]:
    with database.session() as session:
        return list(session.scalars(select(Feedback).order_by(Feedback.created_at)))


def test_a_text_is_digested_and_not_kept(database: Database, settings: Settings) -> None:
    add(database, settings, text=LURE, comment="โทรจาก 081-234-5678", verdict={"risk": 0.2})
    [row] = rows(database)
    assert (row.message_id, row.text_digest) == (digest_of(LURE)[:16], digest_of(LURE))
    assert row.text is None
    assert row.comment == "โทรจาก 081-xxx-x678"
    everything = str(vars(row))
    assert "easyloan" not in everything
    assert "กู้" not in everything


def test_a_text_is_kept_masked_where_the_operator_keeps_texts(database: Database, settings: Settings) -> None:
    storing = settings.model_copy(update={"store_text": True})
    add(database, storing, text=LURE)
    [row] = rows(database)
    assert row.text is not None
    assert row.text.startswith("คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท")
    assert "easyloan" not in row.text
    add(database, storing.model_copy(update={"mask_stored_text": False}), text=LURE)
    assert rows(database)[0].text == LURE


def test_the_last_word_of_a_reviewer_on_a_message_counts(database: Database, settings: Settings) -> None:
    first = add(database, settings, text=LURE, reviewer="a")
    again = add(database, settings, text_digest=digest_of(LURE), label="prize", reviewer="a")
    other = add(database, settings, message_id=digest_of(LURE)[:16], reviewer="b")
    assert (first.replaced, again.replaced, other.replaced) == (False, True, False)
    assert again.row.id == first.row.id
    assert (other.near, other.conflict) == (1, True)
    assert [(row.reviewer, row.label) for row in rows(database)] == [("a", "prize"), ("b", "loan")]


def test_feedback_on_near_duplicates_belongs_together_and_conflicts_are_seen(
    database: Database, settings: Settings
) -> None:
    add(database, settings, text=LURE, reviewer="a")
    second = add(database, settings, text=NEAR, reviewer="b")
    assert (second.near, second.conflict) == (1, False)
    add(database, settings, text=REWORDED, owner="k2", label="benign", kind="marketing")
    add(database, settings, text=CHAT, owner="k2", label="benign", kind="personal")
    with database.session() as session:
        found = feedback.groups(session)
    assert [len(group.rows) for group in found] == [1, 3]
    assert [group.conflict for group in found] == [False, True]
    assert found[1].decided() is None
    assert found[1].decided(majority=True) == ("loan", None)


def test_a_majority_is_one_of_reviewers_however_many_messages_each_has_marked(
    database: Database, settings: Settings
) -> None:
    for text in (LURE, NEAR, REWORDED):
        add(database, settings, text=text)
    add(database, settings, text=LURE, owner="k2", label="prize")
    with database.session() as session:
        [group] = feedback.groups(session)
    assert group.labels == {("loan", None): 3, ("prize", None): 1}
    assert group.decided(majority=True) is None


def test_who_contradicts_what_was_exported_is_seen(database: Database, settings: Settings) -> None:
    first = add(database, settings, text=LURE)
    with database.session() as session:
        feedback.mark_exported(session, [first.row])
    with database.session() as session:
        assert feedback.groups(session) == []
    add(database, settings, text=LURE, owner="k2", label="benign", kind="marketing")
    with database.session() as session:
        [group] = feedback.groups(session)
    assert group.conflict


def test_what_a_reviewer_says_during_an_export_is_left_for_the_next(database: Database, settings: Settings) -> None:
    read = rows(database) or [add(database, settings, text=LURE).row]
    add(database, settings, text=LURE, label="prize")
    with database.session() as session:
        feedback.mark_exported(session, read)
    assert [(row.label, row.exported_at) for row in rows(database)] == [("prize", None)]


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"text": LURE, "message_id": "0" * 16},
        {"text": LURE, "text_digest": digest_of(LURE)[:16] + "0" * 48},
        {"text_digest": digest_of(LURE), "message_id": digest_of(CHAT)[:16]},
    ],
    ids=["none", "text and another id", "text and a digest that begins alike", "digest and another id"],
)
def test_names_that_do_not_fit_each_other_are_refused(
    database: Database, settings: Settings, names: dict[str, str]
) -> None:
    with pytest.raises(Problem) as problem:
        add(database, settings, **names)
    assert problem.value.kind == "bad-request"
    assert rows(database) == []


def test_one_owner_cannot_flood_the_quarantine(database: Database, settings: Settings) -> None:
    few = settings.model_copy(update={"feedback_per_key": 3})
    for number in range(3):
        add(database, few, message_id=f"{number:016x}")
    with pytest.raises(Problem) as problem:
        add(database, few, message_id="f" * 16)
    assert problem.value.kind == "rate-limited"
    assert 86_000 < (problem.value.retry_after or 0) <= 86_400
    add(database, few, message_id=f"{1:016x}", label="prize")  # another word on the same message adds nothing
    add(database, few, owner="k2", message_id="f" * 16)
    assert len(rows(database)) == 4


def test_one_owner_cannot_flood_it_by_sending_at_once_either(database: Database, settings: Settings) -> None:
    few = settings.model_copy(update={"feedback_per_key": 5})

    def give(number: int) -> str:
        try:
            add(database, few, message_id=f"{number:016x}")
        except Problem as problem:
            return problem.kind
        return "kept"

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(give, range(20))) == {"kept": 5, "rate-limited": 15}


def test_the_same_feedback_sent_at_once_is_one(database: Database, settings: Settings) -> None:
    with ThreadPoolExecutor(8) as pool:
        kept = list(pool.map(lambda _: add(database, settings, text=LURE), range(16)))
    assert Counter(each.replaced for each in kept) == {False: 1, True: 15}
    assert len(rows(database)) == 1


def test_half_characters_and_zero_bytes_can_be_given(database: Database, settings: Settings) -> None:
    storing = settings.model_copy(update={"store_text": True})
    names = {"reviewer": "ผู้ตรวจ\x00", "verdict": {"model": "\x00\ud83d"}}
    kept = add(database, storing, text="โอน\ud83dด่วน\x00", comment="\ud83d\x00", **names)
    assert add(database, storing, text="โอน\ud83dด่วน\x00", **names).replaced
    assert kept.row.message_id == digest_of("โอน\ud83dด่วน\x00")[:16]
    assert len(rows(database)) == 1


def test_feedback_that_was_accepted_survives_a_process_that_is_killed(database_url: str, tmp_path: Path) -> None:
    code = """
import os, signal, sys
from serve.settings import Settings
from serve.storage import feedback, migrate
from serve.storage.database import Database
database = Database(sys.argv[1])
migrate.upgrade(database)
for number in range(20):
    with database.session() as session:
        feedback.add(session, feedback.Given(label="loan", message_id=f"{number:016x}", verdict={}), "k", Settings())
    print(number, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", code, database_url], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    accepted = done.stdout.split()
    assert len(accepted) == 20
    database = Database(database_url)
    assert {row.message_id for row in rows(database)} == {f"{int(number):016x}" for number in accepted}
    database.close()


def test_channels_and_languages_are_those_of_the_corpus() -> None:
    from train.corpus import records

    assert (CHANNELS, LANGUAGES, LONGEST_TEXT) == (records.CHANNELS, records.LANGUAGES, records.LONGEST_TEXT)


def test_a_record_has_what_the_corpus_needs(database: Database, settings: Settings) -> None:
    kept = add(database, settings, text=CHAT, label="benign", kind="personal", channel="chat")
    assert json.loads(json.dumps(feedback.record(kept.row, "benign", "personal", CHAT))) == {
        "text": CHAT,
        "label": "benign",
        "kind": "personal",
        "channel": "chat",
    }
