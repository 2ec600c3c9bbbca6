import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import select

from serve.engine.models import Models
from serve.jobs.runner import Runner
from serve.settings import Settings
from serve.storage import jobs
from serve.storage.database import Database
from serve.storage.tables import Job
from serve.telemetry.metrics import Metrics

SAMPLE = Path(__file__).parents[3] / "data/samples/chats.jsonl"

Add = Callable[..., str]


@pytest.fixture
def models(settings: Settings, database: Database) -> Models:
    return Models(settings, database, Metrics())


@pytest.fixture
def make_runner(settings: Settings, database: Database, models: Models) -> Iterator[Callable[[], Runner]]:
    started: list[Runner] = []

    def make(at_once: int = 1) -> Runner:
        runner = Runner(settings.model_copy(update={"jobs_at_once": at_once}), database, Metrics(), models)
        runner.start()
        started.append(runner)
        return runner

    yield make
    for runner in started:
        runner.stop()


@pytest.fixture
def add(settings: Settings, database: Database) -> Add:
    """Adds a job that is queued, as the route does."""

    def add(content: bytes | Path, name: str = "แชท.jsonl", **options: object) -> str:
        number = uuid4().hex
        upload = settings.data_dir / "jobs" / number / "upload"
        upload.mkdir(parents=True)
        if isinstance(content, Path):
            shutil.copy(content, upload / name)
        else:
            (upload / name).write_bytes(content)
        with database.session() as session:
            session.add(
                Job(
                    id=number,
                    owner="k",
                    name=name,
                    options=options,
                    state="queued",
                    size=(upload / name).stat().st_size,
                    bytes_read=0,
                    progress={},
                    attempts=0,
                    created_at=time.time(),
                )
            )
        return number

    return add


def state(database: Database, number: str) -> Job | None:
    with database.session() as session:
        return session.get(Job, number)


def wait(database: Database, number: str, *states: str, seconds: float = 60) -> Job:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = state(database, number)
        if job is not None and job.state in states:
            return job
        time.sleep(0.05)
    raise AssertionError(f"still {job.state if job else None}: {job.error if job else None}")


def rows(settings: Settings, number: str) -> list[dict[str, object]]:
    path = settings.data_dir / "jobs" / number / "results/verdicts.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def many(count: int) -> bytes:
    """A dump that takes seconds."""
    texts = (f"คุณได้รับอนุมัติวงเงินกู้ {number} บาท โอนค่าค้ำประกันก่อนรับเงิน รอบที่ {number * 7}" for number in range(count))
    return "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts).encode()


def test_a_job_is_scanned_and_its_dump_erased(
    add: Add, make_runner: Callable[[], Runner], database: Database, settings: Settings
) -> None:
    number = add(SAMPLE)
    runner = make_runner()
    job = wait(database, number, "done")
    assert job.error is None
    assert job.finished_at
    assert job.progress["messages"] == sum(job.progress["actions"].values()) == 16
    assert job.progress["actions"]["block"] > 5
    found = rows(settings, number)
    assert {row["source"]["file"] for row in found} == {"แชท.jsonl"}  # type: ignore[index]
    assert "text" not in found[0]["message"]  # type: ignore[operator]
    assert not runner.files.present(number)
    assert {each.name for each in runner.files.results(number).iterdir()} >= {"report.html", "campaigns.jsonl"}


@pytest.mark.parametrize(
    ("content", "name", "told"),
    [
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 100, "dump", None),
        (b"a,b\n1,2\n", "x.csv", None),
        (b"PK\x03\x04garbage", "x.zip", None),
        (b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><smses>&c;</smses>', "x.xml", None),
        (b"not json\n{}\n", "x.json", None),
    ],
    ids=["picture", "no text column", "broken zip", "entities", "no json"],
)
def test_a_dump_that_cannot_be_read_ends_and_says_why(
    add: Add, make_runner: Callable[[], Runner], database: Database, content: bytes, name: str, told: None
) -> None:
    number = add(content, name)
    make_runner()
    job = wait(database, number, "done", "failed")
    assert job.state == "failed" or job.progress["unreadable"] or job.progress["messages"], job.error
    if job.state == "failed":
        assert job.error
        assert "\n" not in job.error
        assert "/" not in job.error.replace("x/", "")


def test_a_job_goes_on_where_it_was_when_its_process_is_killed(
    add: Add, make_runner: Callable[[], Runner], database: Database, settings: Settings
) -> None:
    number, calm = add(many(600), "a.jsonl"), add(many(600), "a.jsonl")
    make_runner()
    wait(database, number, "running")
    while not (state(database, number) or Job()).progress.get("messages"):
        time.sleep(0.05)
    [child] = children()
    os.kill(child, signal.SIGKILL)
    job = wait(database, number, "done")
    assert job.attempts == 2
    wait(database, calm, "done")
    assert rows(settings, number) == rows(settings, calm)
    assert len(rows(settings, number)) == 600


def children() -> list[int]:
    said = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return [int(line.split()[0]) for line in said.stdout.splitlines() if "serve.jobs.work" in line]


def test_a_job_goes_on_elsewhere_when_its_worker_is_killed(
    add: Add,
    make_runner: Callable[[], Runner],
    database: Database,
    database_url: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number = add(many(600), "a.jsonl")
    code = """
import sys, time
from pathlib import Path
from serve.engine.models import Models
from serve.jobs.runner import Runner
from serve.settings import Settings
from serve.storage import jobs
from serve.storage.database import Database
from serve.telemetry.metrics import Metrics
jobs.LEASE_SECONDS = 2.0
settings = Settings(data_dir=Path(sys.argv[1]))
database = Database(sys.argv[2])
runner = Runner(settings, database, Metrics(), Models(settings, database, Metrics()))
runner.start()
time.sleep(100)
"""
    worker = subprocess.Popen([sys.executable, "-c", code, str(settings.data_dir), database_url])
    wait(database, number, "running")
    while not (state(database, number) or Job()).progress.get("messages"):
        time.sleep(0.05)
    worker.kill()
    worker.wait()
    make_runner()
    job = wait(database, number, "done")
    assert job.attempts == 2
    assert len(rows(settings, number)) == 600


def test_of_two_runners_one_takes_a_job(
    add: Add, make_runner: Callable[[], Runner], database: Database, settings: Settings
) -> None:
    numbers = [add(SAMPLE) for _ in range(4)]
    make_runner()
    make_runner()
    finished = [wait(database, number, "done") for number in numbers]
    assert [job.attempts for job in finished] == [1, 1, 1, 1]
    assert [len(rows(settings, number)) for number in numbers] == [16] * 4


def test_a_job_that_is_taken_back_is_stopped_and_erased(
    add: Add, make_runner: Callable[[], Runner], database: Database
) -> None:
    number = add(many(5_000), "a.jsonl")
    runner = make_runner()
    wait(database, number, "running")
    with database.session() as session:
        job = session.get(Job, number)
        assert job is not None
        assert not jobs.take_back(session, job)
        assert jobs.find(session, number, "k") is None
    end = time.monotonic() + 20
    while runner.files.folder(number).exists() or state(database, number) is not None:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert children() == []


def test_a_runner_that_stops_gives_its_job_back(
    add: Add, make_runner: Callable[[], Runner], database: Database, settings: Settings
) -> None:
    number = add(many(400), "a.jsonl")
    runner = make_runner()
    wait(database, number, "running")
    runner.stop()
    job = state(database, number)
    assert job is not None
    assert (job.state, job.attempts, job.lease) == ("queued", 0, None)
    assert children() == []
    make_runner()
    wait(database, number, "done")
    assert len(rows(settings, number)) == 400


def test_a_job_that_always_breaks_off_is_failed_in_the_end(
    add: Add, database: Database, make_runner: Callable[[], Runner]
) -> None:
    number = add(SAMPLE)
    with database.session() as session:
        session.get(Job, number).attempts = jobs.ATTEMPTS  # type: ignore[union-attr]
    make_runner()
    job = wait(database, number, "failed")
    assert "broke off 5 times" in (job.error or "")


def test_a_worker_that_does_not_see_the_files_leaves_the_job(add: Add, database: Database) -> None:
    number = add(SAMPLE)
    with database.session() as session:
        assert jobs.claim(session, "me", lambda _: False) is None
    assert (state(database, number) or Job()).state == "queued"


def test_jobs_are_erased_when_their_days_are_over(
    add: Add, make_runner: Callable[[], Runner], database: Database, settings: Settings
) -> None:
    number = add(SAMPLE)
    runner = make_runner()
    wait(database, number, "done")
    days = settings.job_retention_days * 86_400
    assert runner.sweep(time.time() + days - 60) == 0
    assert runner.files.results(number).exists()
    assert runner.sweep(time.time() + days + 60) == 1
    assert not runner.files.folder(number).exists()
    with database.session() as session:
        assert session.scalars(select(Job)).all() == []


def test_the_process_of_a_job_is_given_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    from serve.jobs.runner import _environment

    monkeypatch.setenv("RUTHAN_DATABASE_URL", "postgresql://u:secret@h/d")
    assert "secret" not in str(_environment())
