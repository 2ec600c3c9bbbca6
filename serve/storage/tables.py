"""The tables. Times are seconds since 1970, UTC; digests are hexadecimal.

A change here needs a revision in `serve/storage/migrations/versions`; a test compares the two.
"""

from typing import Any

from sqlalchemy import JSON, BigInteger, Float, Index, LargeBinary, MetaData, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_NAMES = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(DeclarativeBase):
    """The base of all tables."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map = {float: Float(53), dict[str, Any]: JSON}  # noqa: RUF012  # read by the library


class ApiKey(Table):
    """A key that callers hold. Of its secret only the digest is kept."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[str] = mapped_column(String(64))  # SHA-256 of the whole key
    scopes: Mapped[str] = mapped_column(String(100))  # divided by blanks
    rate: Mapped[int | None]  # messages a minute; None for the setting's
    created_at: Mapped[float]
    expires_at: Mapped[float | None]
    revoked_at: Mapped[float | None]
    owner: Mapped[str] = mapped_column(String(16))  # id of the first key of those made in place of each other


class Feedback(Table):
    """What a reviewer said of a verdict: in quarantine until an operator exports it."""

    __tablename__ = "feedback"
    # One reviewer has one opinion of a message: a second replaces the first. `owner` and `reviewer` are never null.
    __table_args__ = (UniqueConstraint("message_id", "owner", "reviewer"), Index(None, "owner", "created_at"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    message_id: Mapped[str] = mapped_column(String(16), index=True)  # the first 16 digits of the text's SHA-256
    text_digest: Mapped[str | None] = mapped_column(String(64))  # the whole SHA-256, where it is known
    template: Mapped[str | None] = mapped_column(
        String(16), index=True
    )  # ruthan.batch.near_duplicates, where the text was given
    near_keys: Mapped[bytes | None] = mapped_column(LargeBinary)  # its keys, little-endian unsigned 64-bit numbers
    text: Mapped[str | None] = mapped_column(Text)  # only with store_text
    given: Mapped[dict[str, Any]]  # the verdict: risk, label, action, model, policy, what of it was sent
    label: Mapped[str] = mapped_column(String(40))  # the right one
    kind: Mapped[str | None] = mapped_column(String(40))  # of a benign message
    lang: Mapped[str | None] = mapped_column(String(16))
    channel: Mapped[str | None] = mapped_column(String(40))
    reviewer: Mapped[str] = mapped_column(String(100))
    comment: Mapped[str | None] = mapped_column(String(1000))  # masked
    owner: Mapped[str] = mapped_column(String(64))  # of a key, or `open`
    created_at: Mapped[float]
    exported_at: Mapped[float | None]


class StoredText(Table):
    """The text of a message, only with `store_text`: erased when its days are over, or by its digest."""

    __tablename__ = "texts"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)  # SHA-256 of the text as received
    message_id: Mapped[str] = mapped_column(String(16), index=True)
    text: Mapped[str] = mapped_column(Text)
    masked: Mapped[bool]
    channel: Mapped[str | None] = mapped_column(String(40))
    created_at: Mapped[float] = mapped_column(index=True)


class Job(Table):
    """An uploaded dump and what became of it; its files lie in `data_dir/jobs/<id>`."""

    __tablename__ = "jobs"
    __table_args__ = (UniqueConstraint("owner", "idempotency_key"), Index(None, "state", "created_at"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64))  # of a key, or `open`
    idempotency_key: Mapped[str | None] = mapped_column(String(100))
    name: Mapped[str] = mapped_column(String(200))  # of the file, as the caller calls it
    options: Mapped[dict[str, Any]]  # format, column, mask, with_text
    state: Mapped[str] = mapped_column(String(16))  # queued, running, done, failed, cancelled
    size: Mapped[int] = mapped_column(BigInteger)  # bytes of the dump
    bytes_read: Mapped[int] = mapped_column(BigInteger, default=0)
    progress: Mapped[dict[str, Any]]  # messages, notices, unreadable, actions, labels
    error: Mapped[str | None] = mapped_column(String(500))
    attempts: Mapped[int] = mapped_column(default=0)
    lease: Mapped[str | None] = mapped_column(String(64))  # who runs it
    lease_until: Mapped[float | None]
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]


class ActiveModel(Table):
    """The model that an administrator put in place of the configured one: a single row, `id` 1.

    It holds as long as the settings still say what they said then, `configured`.
    """

    __tablename__ = "active_model"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    configured: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    policy: Mapped[str] = mapped_column(Text)
    generation: Mapped[int]  # grows with each change, so that every worker notices
    changed_at: Mapped[float]
    changed_by: Mapped[str] = mapped_column(String(64))  # owner of a key


class LineEvent(Table):
    """A webhook event of LINE that was answered: LINE may deliver one twice. Erased after a day."""

    __tablename__ = "line_events"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    received_at: Mapped[float] = mapped_column(index=True)
