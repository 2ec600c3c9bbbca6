import time

import pytest
from sqlalchemy import select

from serve.engine.answer import digest_of
from serve.settings import Settings
from serve.storage import feedback, migrate
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


def test_a_text_that_still_waits_to_be_written_is_erased_too(database: Database, settings: Settings) -> None:
    texts = TextStore(settings.model_copy(update={"store_text": True}), database, Metrics())
    texts.start()
    texts.keep((f"{LURE} {number}", None) for number in range(1_000))
    assert texts.erase(digest_of(f"{LURE} 999")) == 1
    texts.stop()
    assert len(stored(database)) == 999


def test_texts_go_on_being_kept_after_some_could_not(database: Database, settings: Settings) -> None:
    metrics = Metrics()
    texts = TextStore(settings.model_copy(update={"store_text": True}), database, metrics)
    texts.start()
    StoredText.metadata.tables["texts"].drop(database.engine)
    texts.keep([("ประชุมพรุ่งนี้เก้าโมง", None)])
    with pytest.raises(Exception, match=r"texts|nothing was kept"):
        texts.erase("0" * 64)  # which waits for the writer
    StoredText.metadata.tables["texts"].create(database.engine)
    texts.keep([(LURE, None)])
    texts.stop()
    assert [row.digest for row in stored(database)] == [digest_of(LURE)]
    counted = metrics.render()[0].decode()
    assert 'ruthan_stored_texts_total{outcome="kept"} 1.0' in counted
    assert 'ruthan_stored_texts_total{outcome="dropped"} 1.0' in counted


def test_comments_do_not_outlive_texts(database: Database, settings: Settings) -> None:
    with database.session() as session:
        feedback.add(session, Given(label="loan", text=LURE, comment="ญาติของผู้เสียหาย", verdict={}), "k", settings)
    texts = TextStore(settings, database, Metrics())
    assert texts.sweep(time.time() + (settings.retention_days + 1) * DAY) == 0
    with database.session() as session:
        [row] = session.scalars(select(Feedback)).all()
    assert (row.label, row.comment) == ("loan", None)


def test_an_erased_text_is_in_no_file_any_more(settings: Settings) -> None:
    database = Database(settings.database)
    migrate.upgrade(database)
    texts = store(database, settings.model_copy(update={"store_text": True}), LURE, "ถึงบ้านแล้วนะแม่")

    def on_disk() -> bool:
        return any("ค่าค้ำประกัน".encode() in path.read_bytes() for path in settings.data_dir.iterdir())

    assert on_disk()
    assert texts.erase(digest_of(LURE)) == 1
    assert not on_disk()
    database.close()
