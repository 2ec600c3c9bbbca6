"""Jobs in the database: who may run one, how far it is, and when it is over.

A job is run by whoever holds its lease. A lease that is not renewed runs out, and then the job is anyone's again: so a
worker that dies, however, loses no job.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.orm import Session

from serve.storage.tables import Job

LEASE_SECONDS = 30.0
ATTEMPTS = 5  # at most: a dump on which the process dies each time would be run for ever
OPEN = ("queued", "running")


def find(session: Session, number: str, owner: str | None) -> Job | None:
    """The job, if it is this owner's, or whosever if `owner` is None; not one that was taken back."""
    job = session.get(Job, number)
    visible = job is not None and job.state != "cancelled" and owner in (None, job.owner)
    return job if visible else None


def find_again(session: Session, owner: str, idempotency_key: str) -> Job | None:
    """The job that was made by an earlier call with the same key."""
    query = select(Job).where(Job.owner == owner, Job.idempotency_key == idempotency_key, Job.state != "cancelled")
    return session.scalar(query)


def listed(session: Session, owner: str | None, limit: int) -> list[Job]:
    """The owner's jobs, newest first."""
    query = select(Job).where(Job.state != "cancelled").order_by(Job.created_at.desc()).limit(limit)
    return list(session.scalars(query if owner is None else query.where(Job.owner == owner)))


def unfinished(session: Session, owner: str) -> int:
    """How many jobs of the owner are not over."""
    return session.scalar(select(func.count()).where(Job.owner == owner, Job.state.in_(OPEN))) or 0


def claim(session: Session, runner: str, reachable: Callable[[str], bool]) -> Job | None:
    """Take the lease of the oldest job that nobody runs and whose files are `reachable` here; None if there is none.

    A job that was begun too often is failed instead.
    """
    now = time.time()
    query = select(Job).where(_claimable(now)).order_by(Job.created_at).limit(100)
    for job in session.scalars(query).all():
        if not reachable(job.id):
            continue
        over = job.attempts >= ATTEMPTS
        values: dict[str, Any] = (
            {"state": "failed", "finished_at": now, "error": f"broke off {ATTEMPTS} times; is the dump damaged?"}
            if over
            else {
                "state": "running",
                "lease": runner,
                "lease_until": now + LEASE_SECONDS,
                "attempts": job.attempts + 1,
                "started_at": job.started_at or now,
            }
        )
        # Of several who see the same job, one changes it.
        taken = session.execute(
            update(Job).where(Job.id == job.id, Job.attempts == job.attempts, _claimable(now)).values(**values)
        )
        if taken.rowcount == 1:
            session.refresh(job)
            return job
    return None


def _claimable(now: float) -> ColumnElement[bool]:
    return or_(Job.state == "queued", and_(Job.state == "running", Job.lease_until < now))


def report(session: Session, number: str, runner: str, bytes_read: int, progress: Mapping[str, Any]) -> bool:
    """Renew a lease, and say how far the job is; False if the job is no longer this runner's."""
    values = {"bytes_read": bytes_read, "progress": dict(progress), "lease_until": time.time() + LEASE_SECONDS}
    return _change(session, number, runner, values)


def finish(session: Session, number: str, runner: str, error: str | None) -> bool:
    """The job is over: done, or failed with an error; False if it was no longer this runner's."""
    state = "done" if error is None else "failed"
    values = {"state": state, "error": None if error is None else error[:500], "finished_at": time.time()}
    return _change(session, number, runner, {**values, "lease": None, "lease_until": None})


def give_back(session: Session, number: str, runner: str, counted: bool) -> bool:
    """Let others run the job; `counted` says whether this attempt counts."""
    values: dict[str, Any] = {"state": "queued", "lease": None, "lease_until": None}
    return _change(session, number, runner, values if counted else {**values, "attempts": Job.attempts - 1})


def take_back(session: Session, job: Job) -> bool:
    """The caller wants the job no more. Whether its files can be erased at once; else its runner, who is told by his
    next report, erases them.
    """
    running = job.state == "running" and (job.lease_until or 0) > time.time()
    if running:
        job.state = "cancelled"
        job.idempotency_key = None
    else:
        session.delete(job)
    return not running


def remove(session: Session, number: str) -> None:
    """Drop the row of a job."""
    session.execute(delete(Job).where(Job.id == number))


def expired(session: Session, before: float) -> list[str]:
    """Jobs that were over before a time, or were taken back and have no runner any more."""
    over = and_(Job.state.in_(("done", "failed")), Job.finished_at < before)
    left = and_(Job.state == "cancelled", Job.lease_until < time.time())
    return list(session.scalars(select(Job.id).where(or_(over, left))))


def existing(session: Session, numbers: list[str]) -> set[str]:
    """Which of these jobs there are."""
    return set(session.scalars(select(Job.id).where(Job.id.in_(numbers))))


def _change(session: Session, number: str, runner: str, values: Mapping[str, Any]) -> bool:
    changed = session.execute(
        update(Job).where(Job.id == number, Job.lease == runner, Job.state == "running").values(**values)
    )
    return changed.rowcount == 1
