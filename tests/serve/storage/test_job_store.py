import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from serve.storage import jobs
from serve.storage.database import Database
from serve.storage.tables import Job

Put = Callable[..., str]


@pytest.fixture
def put(database: Database) -> Put:
    """Puts a queued job into the database."""

    def put(**given: Any) -> str:
        values = {
            "id": uuid4().hex,
            "owner": "a",
            "name": "แชท.txt",
            "options": {},
            "state": "queued",
            "size": 1,
            "bytes_read": 0,
            "progress": {},
            "attempts": 0,
            "created_at": time.time(),
            **given,
        }
        with database.session() as session:
            session.add(Job(**values))
        return str(values["id"])

    return put


def claim(database: Database, runner: str = "me", reachable: Callable[[str], bool] = lambda _: True) -> Job | None:
    with database.session() as session:
        return jobs.claim(session, runner, reachable)


def row(database: Database, number: str) -> Job | None:
    with database.session() as session:
        return session.get(Job, number)


def test_of_many_runners_exactly_one_takes_each_job(database: Database, put: Put) -> None:
    numbers = {put(owner=f"o{index % 3}") for index in range(12)}
    taken: Counter[str] = Counter()
    start = threading.Barrier(6)

    def take(runner: str) -> None:
        start.wait()
        while job := claim(database, runner):
            taken[job.id] += 1

    threads = [threading.Thread(target=take, args=(f"runner-{index}",)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken == dict.fromkeys(numbers, 1)


def test_owners_have_their_turns_and_of_each_the_oldest_job_is_first(database: Database, put: Put) -> None:
    now = time.time()
    many = [put(owner="many", created_at=now + index) for index in range(3)]
    one = put(owner="one", created_at=now + 10)
    order = []
    while job := claim(database):
        order.append(job.id)
        time.sleep(0.01)
    assert order == [many[0], one, many[1], many[2]]


def test_jobs_whose_files_lie_elsewhere_keep_nobody_from_others(database: Database, put: Put) -> None:
    for _ in range(150):
        put(created_at=1.0)
    mine = put()
    job = claim(database, reachable=lambda number: number == mine)
    assert job is not None
    assert job.id == mine
    assert claim(database, reachable=lambda number: number == mine) is None


def test_whoever_lost_the_lease_changes_nothing(database: Database, put: Put) -> None:
    number = put()
    assert claim(database, "old") is not None
    with database.session() as session:
        session.execute(update(Job).values(lease_until=time.time() - 1))
    job = claim(database, "new")
    assert job is not None
    assert (job.id, job.attempts) == (number, 2)
    with database.session() as session:
        assert not jobs.report(session, number, "old", 5, {"messages": 5})
        assert not jobs.finish(session, number, "old", None)
        assert not jobs.give_back(session, number, "old")
        assert not jobs.break_off(session, number, "old", 1, "why")
        assert jobs.report(session, number, "new", 7, {"messages": 7})
    after = row(database, number)
    assert after is not None
    assert (after.state, after.lease, after.bytes_read, after.progress) == ("running", "new", 7, {"messages": 7})


def test_a_lease_lasts_as_long_as_it_is_renewed(database: Database, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "LEASE_SECONDS", 0.4)
    number = put()
    assert claim(database, "old") is not None
    for _ in range(3):
        time.sleep(0.2)
        with database.session() as session:
            assert jobs.report(session, number, "old", 1, {})
        assert claim(database, "new") is None
    time.sleep(0.6)
    assert claim(database, "new") is not None


def test_a_job_that_breaks_off_is_tried_again_after_a_pause_and_failed_in_the_end(database: Database, put: Put) -> None:
    number = put()
    pauses = []
    for attempt in range(1, jobs.ATTEMPTS + 1):
        job = claim(database)
        assert job is not None
        assert job.attempts == attempt
        with database.session() as session:
            assert jobs.break_off(session, number, "me", job.attempts, "the disk is full")
        waiting = row(database, number)
        assert waiting is not None
        if attempt < jobs.ATTEMPTS:
            assert (waiting.state, waiting.error) == ("running", "the disk is full")
            assert claim(database) is None
            pauses.append(round((waiting.lease_until or 0) - time.time()))
            with database.session() as session:
                session.execute(update(Job).values(lease_until=time.time() - 1))
    assert pauses == [1, 4, 16, 64]
    failed = row(database, number)
    assert failed is not None
    assert (failed.state, failed.error) == ("failed", "tried 5 times: the disk is full")
    assert claim(database) is None


def test_a_job_given_back_can_be_taken_at_once_and_counts_no_attempt(database: Database, put: Put) -> None:
    number = put()
    assert claim(database, "old") is not None
    with database.session() as session:
        assert jobs.give_back(session, number, "old")
    job = claim(database, "new")
    assert job is not None
    assert job.attempts == 1


def test_a_job_that_is_run_is_stopped_first_and_erased_by_its_runner(database: Database, put: Put) -> None:
    number = put(idempotency_key="k")
    assert claim(database) is not None
    with database.session() as session:
        assert not jobs.take_back(session, number)
    stopped = row(database, number)
    assert stopped is not None
    assert (stopped.state, stopped.idempotency_key) == ("cancelled", None)
    with database.session() as session:
        assert jobs.find(session, number, "a") is None
        assert jobs.find(session, number, None) is None
        assert jobs.listed(session, "a", 10) == []
        assert not jobs.finish(session, number, "me", None)
        assert jobs.expired(session, 0) == []  # its runner may be alive
        session.execute(update(Job).values(lease_until=time.time() - 1))
        assert jobs.expired(session, 0) == [number]
    put(idempotency_key="k")  # can be used again


@pytest.mark.parametrize(
    "state",
    [
        {"state": "queued"},
        {"state": "done", "finished_at": 1.0},
        {"state": "failed", "finished_at": 1.0, "error": "x"},
        {"state": "running", "lease": "dead", "lease_until": 1.0},
        {"state": "running", "lease": None, "lease_until": 1e12},
    ],
    ids=["queued", "done", "failed", "lease run out", "waits for another try"],
)
def test_a_job_that_nobody_runs_is_gone_at_once(database: Database, put: Put, state: dict[str, Any]) -> None:
    number = put(**state)
    with database.session() as session:
        assert jobs.take_back(session, number)
    assert row(database, number) is None


def test_jobs_are_their_owners(database: Database, put: Put) -> None:
    mine, other = put(owner="a", idempotency_key="k"), put(owner="b", idempotency_key="k")
    with database.session() as session:
        assert jobs.find(session, mine, "b") is None
        assert jobs.find(session, mine, None) is not None
        assert [job.id for job in jobs.listed(session, "b", 10)] == [other]
        again = jobs.find_again(session, "b", "k")
        assert again is not None
        assert again.id == other
        assert (jobs.unfinished(session, "a"), jobs.unfinished(session, "c")) == (1, 0)


def test_jobs_that_nobody_could_run_are_failed_when_their_days_are_over(database: Database, put: Put) -> None:
    old, new = put(created_at=100.0), put()
    at_work = put(created_at=100.0, state="running", lease="x", lease_until=time.time() + 60)
    with database.session() as session:
        assert jobs.abandon(session, 1_000.0) == 1
        assert jobs.over(session, [old, new, at_work]) == {old}
    assert "send it again" in (getattr(row(database, old), "error", None) or "")
