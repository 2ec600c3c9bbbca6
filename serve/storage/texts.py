"""The texts of messages, kept only where the operator has switched `store_text` on: so that feedback that names a
message by its id can be learned from. They are masked unless that is switched off, erased after `retention_days`, and
at any time by their digest.
"""

import contextlib
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
from serve.storage.database import Database, changed
from serve.storage.tables import Feedback, StoredText
from serve.telemetry.metrics import Metrics

WAITING = 10_000  # texts that may wait to be written; beyond, they are dropped and counted: scanning never waits
TOGETHER = 200  # texts that are written in one transaction
SETTLE_SECONDS = 10.0  # that an erasure, or the end, waits for what is to be written before it
DAY = 86_400.0

_log = logging.getLogger(__name__)


class TextStore:
    """Keeps texts in the background, on a thread of its own."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics) -> None:
        self._settings, self._database, self._metrics = settings, database, metrics
        # An event is set when all before it has been written.
        self._queue: queue.Queue[tuple[str, str | None] | threading.Event] = queue.Queue(WAITING)
        self._ending = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to write, where texts are to be kept."""
        if self._settings.store_text:
            self._thread = threading.Thread(target=self._write, name="ruthan-texts", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Write what waits, and end."""
        if self._thread is not None:
            self._ending = True
            self._queue.put(threading.Event())
            self._thread.join(SETTLE_SECONDS)
            self._thread = None

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
        """Erase the texts whose days are over, those of feedback and its comments too; how many texts.

        :raises Problem: the database is away.
        """
        before = (now or time.time()) - self._settings.retention_days * DAY
        with self._database.session() as session:
            gone = changed(session, delete(StoredText).where(StoredText.created_at < before))
            over = update(Feedback).where(Feedback.created_at < before)
            gone += changed(session, over.where(Feedback.text.is_not(None)).values(text=None))
            gone_comments = changed(session, over.where(Feedback.comment.is_not(None)).values(comment=None))
        if gone or gone_comments:
            self._database.scrub()
        return gone

    def erase(self, name: str) -> int:
        """Erase a text by its SHA-256, or by the id of its message, wherever it is kept; how many there were.

        Feedback on it stays, without text, comment, and what near-duplicates are found by.

        :raises Problem: the database is away.
        """
        self._settle()
        with self._database.session() as session:
            gone = erase(session, name)
        self._database.scrub()
        return gone

    def _settle(self) -> None:
        """Wait until what was given before has been written, so that it can be erased."""
        if self._thread is not None:
            written = threading.Event()
            with contextlib.suppress(queue.Full):
                self._queue.put(written, timeout=SETTLE_SECONDS)
                written.wait(SETTLE_SECONDS)

    def _write(self) -> None:
        while not (self._ending and self._queue.empty()):
            first = self._queue.get()
            some = [first] + [self._queue.get_nowait() for _ in range(min(TOGETHER, self._queue.qsize()))]
            texts = [each for each in some if not isinstance(each, threading.Event)]
            try:
                with self._database.session() as session:
                    add(session, texts, self._settings.mask_stored_text)
                self._metrics.texts(len(texts), 0)
            except Exception as error:  # the next ones may be kept; what is said may quote these
                self._metrics.texts(0, len(texts))
                _log.warning(
                    "texts were not kept: %s", error.kind if isinstance(error, Problem) else type(error).__name__
                )
            for each in some:
                if isinstance(each, threading.Event):
                    each.set()


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
    gone = changed(session, delete(StoredText).where(stored))
    same = or_(Feedback.text_digest == name, Feedback.message_id == name[:16] if whole else Feedback.message_id == name)
    texts = changed(session, update(Feedback).where(same, Feedback.text.is_not(None)).values(text=None))
    session.execute(update(Feedback).where(same).values(comment=None, template=None, near_keys=None))
    return gone + texts


def storable(text: str) -> str:
    """A text as every database takes it: half characters and zero bytes, which are no text, replaced."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd")
