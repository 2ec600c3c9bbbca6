"""What reviewers said of verdicts. It stays in quarantine: nothing learns from it before an operator exports it.

Kept are digests, and keys by which near-duplicates are found, none of which gives a text back; the text itself only
with `store_text`.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from ruthan.batch.near_duplicates import DisjointSets, equal_keys, template_id_and_keys
from ruthan.masking import mask
from serve.engine.answer import digest_of
from serve.problems import Problem
from serve.settings import Settings
from serve.storage.database import alone
from serve.storage.tables import Feedback, StoredText
from serve.storage.texts import DAY, storable

# Those of the corpus, so that what is exported can be filed there.
CHANNELS = ("sms", "rcs", "line_broadcast", "chat", "post", "comment", "listing", "call", "email", "forward")
LONGEST_TEXT = 20_000
LANGUAGES = ("th", "en", "zh", "my", "lo", "km", "vi", "th-en", "th-karaoke", "hi", "tl", "ms", "ru")


@dataclass(frozen=True, kw_only=True)
class Given:
    """Feedback as a caller gives it. The message is named by one of `text`, `text_digest` and `message_id` at least.

    :param text_digest: SHA-256 of the text as received, in hexadecimal.
    :param message_id: its first 16 digits.
    :param verdict: what of the verdict the caller tells.
    :param label: the right class; `kind` that of a benign message.
    """

    label: str
    kind: str | None = None
    text: str | None = None
    text_digest: str | None = None
    message_id: str | None = None
    verdict: dict[str, Any]
    lang: str | None = None
    channel: str | None = None
    reviewer: str = ""
    comment: str | None = None


class Kept(NamedTuple):
    """Feedback that was kept: whether it replaced an earlier opinion of the same reviewer; how many others there are of
    the same message or of one with the same template, and whether one of them has another label.
    """

    row: Feedback
    replaced: bool
    near: int
    conflict: bool


def add(session: Session, given: Given, owner: str, settings: Settings) -> Kept:
    """Keep feedback.

    :raises Problem: `bad-request` where the names of the message do not fit each other; `rate-limited` where the owner
        has given more than a day's share.
    """
    digest, message_id = _named(given)
    reviewer = storable(given.reviewer)
    alone(session, f"feedback {owner}")  # or two at once would pass the limit, or both take the reviewer's place
    row = session.scalar(
        select(Feedback).where(
            Feedback.message_id == message_id, Feedback.owner == owner, Feedback.reviewer == reviewer
        )
    )
    replaced = row is not None
    if row is None:
        _check_flood(session, owner, settings)
        row = Feedback(id=uuid4().hex, message_id=message_id, owner=owner, reviewer=reviewer, exported_at=None)
    if row.label != given.label or row.kind != given.kind:
        row.exported_at = None  # the corpus has not heard this opinion
    row.text_digest = digest or row.text_digest
    row.given, row.label, row.kind = given.verdict, given.label, given.kind
    row.lang, row.channel = given.lang, given.channel
    row.comment = None if given.comment is None else storable(mask(given.comment))
    row.created_at = time.time()
    if given.text is not None:
        row.template, keys = template_id_and_keys(given.text)
        row.near_keys = keys.astype("<u8").tobytes()
        if settings.store_text:
            row.text = storable(mask(given.text) if settings.mask_stored_text else given.text)
    session.add(row)
    session.flush()
    same = Feedback.message_id == message_id
    alike = or_(same, Feedback.template == row.template) if row.template else same
    others = session.scalars(select(Feedback.label).where(alike, Feedback.id != row.id)).all()
    return Kept(row, replaced, len(others), any(label != row.label for label in others))


def _named(given: Given) -> tuple[str | None, str]:
    """Digest, if it is known, and id of the message."""
    digest = digest_of(given.text) if given.text is not None else given.text_digest
    ids = {each[:16] for each in (digest, given.text_digest, given.message_id) if each is not None}
    if given.text_digest is not None and digest != given.text_digest:
        ids.add("another")
    if not ids:
        raise Problem("bad-request", "name the message: send text, text_digest or message_id")
    if len(ids) > 1:
        raise Problem("bad-request", "text, text_digest and message_id name different messages; one of them is enough")
    return digest, ids.pop()


def _check_flood(session: Session, owner: str, settings: Settings) -> None:
    most = settings.feedback_per_key
    if not most:
        return
    recent = (Feedback.owner == owner, Feedback.created_at > time.time() - DAY)
    if (session.scalar(select(func.count()).where(*recent)) or 0) >= most:
        first = session.scalar(select(func.min(Feedback.created_at)).where(*recent)) or time.time()
        raise Problem(
            "rate-limited",
            f"at most {most:,} feedback a day; send the rest after the seconds that Retry-After names",
            retry_after=first + DAY - time.time(),
        )


@dataclass(frozen=True)
class Group:
    """Feedback on one message and its near-duplicates, newest first."""

    rows: tuple[Feedback, ...]

    @property
    def labels(self) -> Counter[tuple[str, str | None]]:
        """How many say which label, and kind."""
        return Counter((row.label, row.kind) for row in self.rows)

    @property
    def conflict(self) -> bool:
        """Whether they disagree on the label."""
        return len({row.label for row in self.rows}) > 1

    def decided(self, majority: bool = False) -> tuple[str, str | None] | None:
        """Label and kind that all say, or with `majority` more than half of the reviewers, each with his last word."""
        last = {(row.owner, row.reviewer): row.label for row in reversed(self.rows)}
        label, count = Counter(last.values()).most_common(1)[0]
        if self.conflict and not (majority and count * 2 > len(last)):
            return None
        return label, next((row.kind for row in self.rows if row.label == label), None)


def groups(session: Session, *, exported: bool = False, since: float = 0.0) -> list[Group]:
    """Feedback by near-duplicates, the newest group first: the groups with something new, as a whole, so that who
    contradicts what was exported is seen to.

    :param exported: take what was exported for new, too.
    :param since: take for new only what came since then, in seconds since 1970.
    """
    rows = list(session.scalars(select(Feedback).order_by(Feedback.created_at.desc(), Feedback.id)))
    sets = DisjointSets(len(rows))
    first: dict[str, int] = {}
    for number, row in enumerate(rows):
        for name in (row.message_id, row.template):
            if name:
                sets.join(first.setdefault(name, number), number)
    for one, other in equal_keys([np.frombuffer(row.near_keys or b"", "<u8") for row in rows]):
        sets.join(one, other)
    found: dict[int, list[Feedback]] = {}
    for number, row in enumerate(rows):
        found.setdefault(sets.find(number), []).append(row)

    def new(row: Feedback) -> bool:
        return row.created_at >= since and (exported or row.exported_at is None)

    return [Group(tuple(each)) for each in found.values() if any(map(new, each))]


def texts_of(session: Session, rows: Sequence[Feedback]) -> dict[str, str]:
    """The texts that are kept of the messages of feedback, by message id."""
    found = {row.message_id: row.text for row in rows if row.text}
    missing = [row.message_id for row in rows if row.message_id not in found]
    for some in _parts(missing, 500):
        query = select(StoredText.message_id, StoredText.text).where(StoredText.message_id.in_(some))
        found |= {row.message_id: row.text for row in session.execute(query)}
    return found


def record(row: Feedback, label: str, kind: str | None, text: str) -> dict[str, Any]:
    """A labelled text, in the form that `python -m train.corpus add` files."""
    content = {"text": text, "label": label, "kind": kind, "lang": row.lang, "channel": row.channel}
    return {name: value for name, value in content.items() if value is not None}


def mark_exported(session: Session, rows: Iterable[Feedback]) -> None:
    """Note that these are with the corpus now, but for those whose reviewer has said something else since."""
    now = time.time()
    for row in rows:
        same = (Feedback.id == row.id, Feedback.created_at == row.created_at)
        session.execute(update(Feedback).where(*same).values(exported_at=now))


def _parts(values: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (values[at : at + size] for at in range(0, len(values), size))
