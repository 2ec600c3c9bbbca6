"""Jobs in the database: who may run one, how far it is, and when it is over.

A job is run by whoever holds its lease. A lease that is not renewed runs out, and then the job is anyone's again: so a
worker that dies, however, loses no job. Whoever changes a job names the lease, so that one who lost it changes nothing.
"""

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, not_, or_, select, update
from sqlalchemy.orm import Session, aliased

from serve.storage.database import alone, changed
from serve.storage.tables import Job

LEASE_SECONDS = 15.0
ATTEMPTS = 5  # at most: a dump on which the process dies each time would be run for ever
OPEN = ("queued", "running")
OVER = ("done", "failed")
_ERROR = 500  # characters that the table holds


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
    """The owner's jobs, newest first; those of all if `owner` is None."""
    query = select(Job).where(Job.state != "cancelled").order_by(Job.created_at.desc()).limit(limit)
    return list(session.scalars(query if owner is None else query.where(Job.owner == owner)))


def unfinished(session: Session, owner: str) -> int:
    """How many jobs of the owner are not over."""
    return session.scalar(select(func.count()).where(Job.owner == owner, Job.state.in_(OPEN))) or 0


def add(session: Session, job: Job, most: int) -> bool:
    """Keep a new job, unless its owner has that many which are not over; whether it was kept."""
    alone(session, f"jobs of {job.owner}")
    if unfinished(session, job.owner) >= most:
        return False
    session.add(job)
    return True


def claim(session: Session, runner: str, reachable: Callable[[str], bool]) -> Job | None:
    """Take the lease of a job that nobody runs and whose files are `reachable` here; None if there is none. Owners have
    their turns, and of one owner's jobs the oldest is first.

    A job that was begun too often is failed instead.
    """
    now = time.time()
    others = aliased(Job)
    turn = select(func.max(others.started_at)).where(others.owner == Job.owner).correlate(Job).scalar_subquery()
    query = (
        select(Job.id, Job.attempts, Job.started_at, Job.error)
        .where(_claimable(now))
        .order_by(func.coalesce(turn, 0.0), Job.created_at)
    )
    for number, attempts, started_at, error in session.execute(query).all():
        if not reachable(number):
            continue
        if attempts >= ATTEMPTS:
            values = _over(_given_up(error or "the process that read it ended each time; is the dump damaged?"))
        else:
            values = {
                "state": "running",
                "lease": runner,
                "lease_until": now + LEASE_SECONDS,
                "attempts": attempts + 1,
                "started_at": started_at or now,
            }
        # Of several who see the same job, one changes it.
        taken = update(Job).where(Job.id == number, Job.attempts == attempts, _claimable(now)).values(**values)
        if changed(session, taken):
            return session.get(Job, number, populate_existing=True)
    return None


def report(session: Session, number: str, runner: str, bytes_read: int, progress: Mapping[str, Any]) -> bool:
    """Renew a lease, and say how far the job is; False if the job is no longer this runner's."""
    values = {"bytes_read": bytes_read, "progress": dict(progress), "lease_until": time.time() + LEASE_SECONDS}
    return _change(session, number, runner, values)


def finish(session: Session, number: str, runner: str, error: str | None) -> bool:
    """The job is over: done, or failed with an error; False if it was no longer this runner's."""
    return _change(session, number, runner, _over(error))


def give_back(session: Session, number: str, runner: str) -> bool:
    """Let others run the job at once; this attempt does not count. False if it was no longer this runner's."""
    values = {"state": "queued", "lease": None, "lease_until": None, "attempts": Job.attempts - 1}
    return _change(session, number, runner, values)


def break_off(session: Session, number: str, runner: str, attempts: int, why: str) -> bool:
    """An attempt came to nothing: the job is tried again after a pause, which grows, or failed after the last one;
    False if it was no longer this runner's.
    """
    if attempts >= ATTEMPTS:
        return _change(session, number, runner, _over(_given_up(why)))
    values = {"lease": None, "lease_until": time.time() + 4 ** (attempts - 1), "error": why[:_ERROR]}
    return _change(session, number, runner, values)


def take_back(session: Session, number: str) -> bool:
    """The caller wants the job no more. Whether its files can be erased at once; else its runner, who is told by his
    next report, erases them.
    """
    now = time.time()
    under_way = and_(Job.state == "running", Job.lease.is_not(None), Job.lease_until > now)
    # One who claims it in between finds no row, and erases what he has.
    if changed(session, delete(Job).where(Job.id == number, not_(func.coalesce(under_way, False)))):
        return True
    stopped = update(Job).where(Job.id == number, Job.state == "running")
    if changed(session, stopped.values(state="cancelled", idempotency_key=None)):
        return False
    session.execute(delete(Job).where(Job.id == number))  # it came to its end this moment
    return True


def remove(session: Session, number: str) -> None:
    """Drop the row of a job."""
    session.execute(delete(Job).where(Job.id == number))


def expired(session: Session, before: float) -> list[str]:
    """Jobs that were over before a time, or were taken back and have no runner any more."""
    over = and_(Job.state.in_(OVER), Job.finished_at < before)
    left = and_(Job.state == "cancelled", func.coalesce(Job.lease_until, 0.0) < time.time())
    return list(session.scalars(select(Job.id).where(or_(over, left))))


def abandon(session: Session, before: float) -> int:
    """Fail jobs that are older than `before` and that nobody runs, as where their files are gone; how many."""
    nobody = or_(Job.state == "queued", and_(Job.state == "running", Job.lease_until < time.time()))
    values = _over("no machine of the service had its dump; send it again")
    return changed(session, update(Job).where(nobody, Job.created_at < before).values(**values))


def existing(session: Session, numbers: Collection[str]) -> set[str]:
    """Which of these jobs there are."""
    return set(session.scalars(select(Job.id).where(Job.id.in_(numbers))))


def over(session: Session, numbers: Collection[str]) -> set[str]:
    """Which of these jobs are done or failed."""
    return set(session.scalars(select(Job.id).where(Job.id.in_(numbers), Job.state.in_(OVER))))


def _claimable(now: float) -> ColumnElement[bool]:
    return or_(Job.state == "queued", and_(Job.state == "running", Job.lease_until < now))


def _over(error: str | None) -> dict[str, Any]:
    return {
        "state": "done" if error is None else "failed",
        "error": None if error is None else error[:_ERROR],
        "finished_at": time.time(),
        "lease": None,
        "lease_until": None,
    }


def _given_up(why: str) -> str:
    return f"tried {ATTEMPTS} times: {why}"


def _change(session: Session, number: str, runner: str, values: Mapping[str, Any]) -> bool:
    mine = update(Job).where(Job.id == number, Job.lease == runner, Job.state == "running")
    return bool(changed(session, mine.values(**values)))
