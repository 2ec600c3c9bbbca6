"""API keys: made, listed, taken back. A key is shown once, when it is made; kept is only its digest.

The digest is a plain SHA-256: a key holds 256 random bits, which nobody finds by trying, so a slow hash, made for
passwords, would only slow every request.
"""

import hashlib
import re
import secrets
import time
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from ruthan.errors import RuthanError
from serve.storage.tables import ApiKey

SCOPES = ("scan", "feedback", "jobs", "admin", "metrics")
PREFIX = "rtk"  # so that scanners for leaked secrets can find one
FORM = re.compile(rf"{PREFIX}_([0-9a-f]{{8}})_[A-Za-z0-9_-]{{43}}")


class ApiKeyError(RuthanError):
    """There is no such key, or it cannot be made so."""


def digest_of(key: str) -> str:
    """What is kept of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def create(
    session: Session,
    name: str,
    scopes: Iterable[str],
    rate: int | None = None,
    expires_at: float | None = None,
    owner: str | None = None,
) -> tuple[ApiKey, str]:
    """Make a key; the row, and the key itself, which cannot be had again.

    :param rate: messages a minute, None for what the settings say.
    :param expires_at: seconds since 1970.
    :param owner: of a key that this one is made in place of.
    :raises ApiKeyError: a scope is unknown, or there is none.
    """
    wanted = [scope for scope in SCOPES if scope in set(scopes)]
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise ApiKeyError(f"there is no scope {unknown[0]!r}; there are {', '.join(SCOPES)}")
    if not wanted:
        raise ApiKeyError(f"a key without a scope opens nothing; give --scope, one of {', '.join(SCOPES)}")
    number = secrets.token_hex(4)
    key = f"{PREFIX}_{number}_{secrets.token_urlsafe(32)}"
    row = ApiKey(
        id=number,
        name=name[:100],
        digest=digest_of(key),
        scopes=" ".join(wanted),
        rate=rate,
        created_at=time.time(),
        expires_at=expires_at,
        revoked_at=None,
        owner=owner or number,
    )
    session.add(row)
    return row, key


def get(session: Session, number: str) -> ApiKey:
    """:raises ApiKeyError: there is no key of this id."""
    row = session.get(ApiKey, number)
    if row is None:
        raise ApiKeyError(f"there is no key {number[:20]!r}; see: ruthan-serve keys list")
    return row


def revoke(session: Session, number: str) -> ApiKey:
    """Take a key back: within seconds no worker takes it any more.

    :raises ApiKeyError: there is none.
    """
    row = get(session, number)
    row.revoked_at = row.revoked_at or time.time()
    return row


def rotate(session: Session, number: str, grace: float) -> tuple[ApiKey, str]:
    """Make a key like another one, which ends after `grace` seconds. It has the other's jobs, feedback and rates.

    :raises ApiKeyError: there is no such key, or it is over.
    """
    old = get(session, number)
    if not valid(old):
        raise ApiKeyError(f"the key {number} is over; make a new one")
    left = None if old.expires_at is None else time.time() + (old.expires_at - old.created_at)
    new = create(session, old.name, old.scopes.split(), old.rate, left, old.owner)
    old.expires_at = min(time.time() + grace, old.expires_at or float("inf"))
    return new


def every(session: Session) -> list[ApiKey]:
    """All keys, in the order they were made."""
    return list(session.scalars(select(ApiKey).order_by(ApiKey.created_at)))


def any_valid(session: Session) -> bool:
    """Whether there is a key that opens something."""
    return any(valid(key) for key in every(session))


def any_made(session: Session) -> bool:
    """Whether a key was ever made: then nobody gets in without one."""
    return session.scalar(select(ApiKey.id).limit(1)) is not None


def valid(key: ApiKey, now: float | None = None) -> bool:
    """Whether a key opens anything now."""
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > (now or time.time()))
