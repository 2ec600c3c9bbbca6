"""The texts of messages, kept only where the operator has switched `store_text` on: so that feedback that names a
message by its id can be learned from. They are masked unless that is switched off, erased after `retention_days`, and
at any time by their digest.
"""

import logging
import queue
import threading
import time
from collections.abc import Iterable

from sqlalchemy import delete, or_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from ruthan.masking import mask
from serve.engine.answer import digest_of
from serve.problems import Problem
from serve.settings import Settings
from serve.storage.database import Database
from serve.storage.tables import Feedback, StoredText
from serve.telemetry.metrics import Metrics

WAITING = 10_000  # texts that may wait to be written; beyond, they are dropped and counted: scanning never waits
TOGETHER = 200  # texts that are written in one transaction
DAY = 86_400.0

_log = logging.getLogger(__name__)


class TextStore:
    """Keeps texts in the background, on a thread of its own."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics) -> None:
        self._settings, self._database, self._metrics = settings, database, metrics
        self._queue: queue.Queue[tuple[str, str | None] | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write, where texts are to be kept."""
        if self._settings.store_text:
            self._thread = threading.Thread(target=self._write, name="ruthan-texts", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()

    def keep(self, items: Iterable[tuple[str, str | None]]) -> None:
        """Have texts, each with its channel, written soon; returns at once, and does nothing unless they are kept."""
        if not self._settings.store_text:
            return
        dropped = 0
        for item in items:
            try:
                self._queue.put_nowait(item)
            except queue.Full:
                dropped += 1
        if dropped:
            self._metrics.texts(0, dropped)

    def sweep(self, now: float | None = None) -> int:
        """Erase the texts whose days are over, those of feedback too; how many.

        :raises Problem: the database is away.
        """
        before = (now or time.time()) - self._settings.retention_days * DAY
        with self._database.session() as session:
            gone = session.execute(delete(StoredText).where(StoredText.created_at < before)).rowcount
            of_feedback = update(Feedback).where(Feedback.created_at < before, Feedback.text.is_not(None))
            return gone + session.execute(of_feedback.values(text=None)).rowcount

    def erase(self, name: str) -> int:
        """Erase a text by its SHA-256, or by the id of its message, wherever it is kept; how many there were.

        Feedback on it stays, without text, comment, and what near-duplicates are found by.

        :raises Problem: the database is away.
        """
        with self._database.session() as session:
            return erase(session, name)

    def _write(self) -> None:
        ending = False
        while not ending:
            first = self._queue.get()
            some = [first] + [self._queue.get_nowait() for _ in range(min(TOGETHER, self._queue.qsize()))]
            ending = None in some
            texts = [each for each in some if each is not None]
            try:
                with self._database.session() as session:
                    add(session, texts, self._settings.mask_stored_text)
                self._metrics.texts(len(texts), 0)
            except Problem as problem:
                self._metrics.texts(0, len(texts))
                _log.warning("texts were not kept: %s", problem.kind)


def add(session: Session, texts: Iterable[tuple[str, str | None]], masked: bool) -> None:
    """Keep texts; one that is kept already stays as it is."""
    rows = {
        digest_of(text): {
            "digest": digest_of(text),
            "message_id": digest_of(text)[:16],
            "text": storable(mask(text) if masked else text),
            "masked": masked,
            "channel": None if channel is None else storable(channel)[:40],
            "created_at": time.time(),
        }
        for text, channel in texts
        if text.strip()
    }
    if not rows:
        return
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    session.execute(insert(StoredText).values(list(rows.values())).on_conflict_do_nothing())


def erase(session: Session, name: str) -> int:
    """See `TextStore.erase`."""
    whole = len(name) == 64
    stored = StoredText.digest == name if whole else StoredText.message_id == name
    gone = session.execute(delete(StoredText).where(stored)).rowcount
    same = or_(Feedback.text_digest == name, Feedback.message_id == name[:16] if whole else Feedback.message_id == name)
    texts = session.execute(update(Feedback).where(same, Feedback.text.is_not(None)).values(text=None)).rowcount
    session.execute(update(Feedback).where(same).values(comment=None, template=None, near_keys=None))
    return gone + texts


def storable(text: str) -> str:
    """A text as every database takes it: half characters and zero bytes, which are no text, replaced."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")
