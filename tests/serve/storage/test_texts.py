import time

import pytest
from sqlalchemy import select, text

from serve.engine.answer import digest_of
from serve.problems import Problem
from serve.settings import Settings
from serve.storage import feedback
from serve.storage.database import Database
from serve.storage.feedback import Given
from serve.storage.tables import Feedback, StoredText
from serve.storage.texts import DAY, TextStore
from serve.telemetry.metrics import Metrics

LURE = "โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงินกู้ โทร 081-234-5678"


def stored(database: Database) -> list[StoredText]:
    with database.session() as session:
        return list(session.scalars(select(StoredText)))


def store(database: Database, settings: Settings, *texts: str) -> TextStore:
    found = TextStore(settings, database, Metrics())
    found.start()
    found.keep((each, "sms") for each in texts)
    found.stop()
    return found


def test_no_text_is_kept_unless_the_operator_wants_it(database: Database, settings: Settings) -> None:
    store(database, settings, LURE)
    assert stored(database) == []


def test_texts_are_kept_once_and_masked(database: Database, settings: Settings) -> None:
    storing = settings.model_copy(update={"store_text": True})
    store(database, storing, LURE, LURE, "  ", "สวัสดี\x00\ud83d")
    store(database, storing, LURE)
    kept = {row.digest: row for row in stored(database)}
    assert kept.keys() == {digest_of(LURE), digest_of("สวัสดี\x00\ud83d")}
    row = kept[digest_of(LURE)]
    assert (row.text, row.masked, row.channel) == (LURE.replace("081-234-5678", "081-xxx-x678"), True, "sms")


def test_texts_are_erased_when_their_days_are_over(database: Database, settings: Settings) -> None:
    storing = settings.model_copy(update={"store_text": True, "retention_days": 2})
    texts = store(database, storing, LURE)
    with database.session() as session:
        feedback.add(session, Given(label="loan", text=LURE, verdict={}), "k", storing)
    assert texts.sweep(time.time() + 1.9 * DAY) == 0
    assert texts.sweep(time.time() + 2.1 * DAY) == 2
    assert stored(database) == []
    with database.session() as session:
        assert session.scalars(select(Feedback.text)).all() == [None]


@pytest.mark.parametrize("digits", [16, 64])
def test_a_message_is_erased_wherever_it_is_kept(database: Database, settings: Settings, digits: int) -> None:
    storing = settings.model_copy(update={"store_text": True})
    texts = store(database, storing, LURE, "สวัสดีครับ")
    with database.session() as session:
        feedback.add(session, Given(label="loan", text=LURE, comment="คุณสมชาย", verdict={}), "k", storing)
    assert texts.erase(digest_of(LURE)[:digits]) == 2
    assert texts.erase(digest_of(LURE)[:digits]) == 0
    assert [row.text for row in stored(database)] == ["สวัสดีครับ"]
    with database.session() as session:
        [row] = session.scalars(select(Feedback)).all()
    assert (row.text, row.comment, row.template, row.near_keys) == (None, None, None, None)
    assert row.label == "loan"


def test_a_full_disk_is_a_problem_that_says_so(settings: Settings, tmp_path: object) -> None:
    from serve.storage import migrate

    database = Database(settings.database)
    migrate.upgrade(database)
    with database.engine.connect() as connection:
        pages = connection.execute(text("PRAGMA page_count")).scalar_one()
    from sqlalchemy import event

    event.listen(database.engine, "connect", lambda each, _: each.execute(f"PRAGMA max_page_count = {pages}"))
    database.engine.dispose()
    with pytest.raises(Problem) as problem, database.session() as session:
        session.add(StoredText(digest="0" * 64, message_id="0" * 16, text="x" * 100_000, masked=True, created_at=1.0))
    assert problem.value.kind == "storage-full"
    assert database.reachable()
    database.close()


def test_a_database_that_is_gone_is_a_problem_and_comes_back(postgres: object, settings: Settings) -> None:
    from serve.storage import migrate

    database = Database(postgres.make(f"gone_{time.time_ns()}"))  # type: ignore[attr-defined]
    migrate.upgrade(database)
    assert database.reachable()
    postgres.stop()  # type: ignore[attr-defined]
    try:
        with pytest.raises(Problem) as problem, database.session() as session:
            session.scalars(select(Feedback)).all()
        assert problem.value.kind == "storage-unavailable"
        assert problem.value.retry_after
        assert not database.reachable()
    finally:
        postgres.start()  # type: ignore[attr-defined]
    with database.session() as session:
        assert session.scalars(select(Feedback)).all() == []
    database.close()
