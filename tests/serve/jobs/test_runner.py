import fcntl
import gzip
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from sqlalchemy import select, update

from serve.engine.models import Models
from serve.jobs import runner as running
from serve.jobs.runner import Runner
from serve.jobs.work import LOCK
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


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


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
    until(lambda: not runner.files.present(number))
    assert {each.name for each in runner.files.results(number).iterdir()} >= {"report.html", "campaigns.jsonl"}


SECRET = "โอนเงินประกันตัวมาที่บัญชีนี้ก่อนเที่ยง"  # a message, which no error may quote


def zipped(**members: bytes | str) -> bytes:
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def parquet(rows: int, size: int) -> bytes:
    """A small file of large texts."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    texts = pyarrow.array(["ก" * size]).dictionary_encode().take(pyarrow.array([0] * rows))
    file = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": texts}), file, compression="zstd")
    return file.getvalue()


XML = '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;">]><smses><sms body="&b;"/></smses>'
HOSTILE: dict[str, tuple[str, Callable[[], bytes], str | int]] = {
    # name, dump, and what the error says, or how many entries are unreadable
    "a picture": ("dump", lambda: b"\x89PNG\r\n\x1a\n" + bytes(100), "a picture"),
    "a web page": ("x.html", f"<html><body>{SECRET}</body></html>".encode, "a web page"),
    "a broken archive": ("x.zip", lambda: b"PK\x03\x04garbage", "cannot be opened"),
    "an empty archive": ("x.zip", zipped, "without a file"),
    "a zip bomb": ("x.zip", lambda: zipped(**{"a.txt": bytes(200_000_000)}), 1),
    "archives in archives": ("x.zip", lambda: zipped(a=zipped(b=zipped(c=SECRET))), 1),
    "entities": ("x.xml", XML.encode, "document type"),
    "deep nesting": ("x.json", lambda: b"[" * 1_000_000, 1),
    "a line without an end": ("x.txt", lambda: SECRET.encode() + b"a" * 50_000_000, 1),
    "no such column": ("x.csv", f"{SECRET},ก\n{SECRET},ข\n".encode, "no column"),
    "another format": ("x.csv", lambda: parquet(1, 3), 0),
    "too much for the memory": ("x.parquet", lambda: parquet(3_000, 3_000_000), "more memory"),
    "garbage": ("x.csv", lambda: bytes(number * 7_919 % 256 for number in range(10_000)), 1),
    "nothing but a name": ("x.jsonl", lambda: b"\n", 0),
}


@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_hostile_dump_ends_and_says_why(
    case: str, add: Add, make_runner: Callable[[], Runner], database: Database, settings: Settings
) -> None:
    name, content, told = HOSTILE[case]
    number = add(content(), name, column="nowhere" if case == "no such column" else None)
    runner = make_runner()
    job = wait(database, number, "done", "failed")
    assert job.attempts == 1
    until(lambda: not runner.files.present(number))
    if isinstance(told, str):
        assert job.state == "failed"
        assert told in (job.error or "")
    else:
        assert (job.state, job.error) == ("done", None)
        assert job.progress["unreadable"] >= told
    seen = f"{job.error}{job.progress}"
    for path in runner.files.folder(number).rglob("*"):
        if path.is_file():
            seen += path.read_text("utf-8", "replace")
    assert SECRET[:8] not in seen
    assert str(settings.data_dir) not in seen
    assert "--" not in (job.error or "")


def test_a_dump_that_keeps_the_process_busy_is_given_up(
    add: Add, make_runner: Callable[[], Runner], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "SILENT_SECONDS", 1.0)
    number = add(gzip.compress(b"\n" * 200_000_000), "x.txt.gz")
    make_runner()
    job = wait(database, number, "failed")
    assert "in parts" in (job.error or "")
    assert children() == []


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """Files cannot grow beyond a size."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # whose files are its own
def test_a_job_waits_while_the_disk_is_full(
    add: Add, make_runner: Callable[[], Runner], database: Database, settings: Settings
) -> None:
    number = add(SAMPLE)
    with small_disk(1_000):
        runner = make_runner()
        until(lambda: bool((state(database, number) or Job()).error))
    broken = state(database, number)
    assert broken is not None
    assert (broken.state, broken.error) == ("running", "its results cannot be written; is the disk full?")
    assert runner.files.present(number)
    job = wait(database, number, "done")
    assert (job.error, job.attempts) == (None, 2)
    assert len(rows(settings, number)) == 16


def test_a_job_goes_on_where_it_was_when_its_process_is_killed(
    add: Add, make_runner: Callable[[], Runner], database: Database, settings: Settings
) -> None:
    number, calm = add(many(400), "a.jsonl"), add(many(400), "a.jsonl")
    make_runner()
    begun(database, number)
    [child] = children()
    os.kill(child, signal.SIGKILL)
    job = wait(database, number, "done")
    assert job.attempts == 2
    wait(database, calm, "done")
    for file in ("verdicts.jsonl", "campaigns.jsonl", "indicators.csv", "not-read.jsonl"):
        interrupted, undisturbed = (settings.data_dir / "jobs" / each / "results" / file for each in (number, calm))
        assert interrupted.read_bytes() == undisturbed.read_bytes()
    assert len(rows(settings, number)) == 400


def begun(database: Database, number: str) -> None:
    """Wait until a job has judged some messages."""
    until(lambda: bool((state(database, number) or Job(progress={})).progress.get("messages")))


def children() -> list[int]:
    said = subprocess.run(["ps", "-ww", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return [int(line.split()[0]) for line in said.stdout.splitlines() if "serve.jobs.work" in line]


WORKER = """
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


@pytest.fixture
def worker(settings: Settings, database_url: str, database: Database) -> Iterator["subprocess.Popen[bytes]"]:
    """Another process that runs jobs."""
    process = subprocess.Popen([sys.executable, "-c", WORKER, str(settings.data_dir), database_url])
    yield process
    process.kill()
    process.wait()


def test_a_job_goes_on_elsewhere_when_its_worker_is_killed(
    add: Add,
    make_runner: Callable[[], Runner],
    database: Database,
    settings: Settings,
    worker: "subprocess.Popen[bytes]",
) -> None:
    number = add(many(400), "a.jsonl")
    begun(database, number)
    worker.kill()
    worker.wait()
    calm = add(many(400), "a.jsonl")
    make_runner()
    job = wait(database, number, "done")
    assert job.attempts == 2
    wait(database, calm, "done")
    assert rows(settings, number) == rows(settings, calm)
    assert len(rows(settings, number)) == 400


def test_a_worker_that_was_frozen_disturbs_nobody_when_it_goes_on(
    add: Add,
    make_runner: Callable[[], Runner],
    database: Database,
    settings: Settings,
    worker: "subprocess.Popen[bytes]",
) -> None:
    number = add(many(1_200), "a.jsonl")
    begun(database, number)
    os.kill(worker.pid, signal.SIGSTOP)  # its child goes on, longer than the lease
    make_runner()
    job = wait(database, number, "done")
    assert job.attempts == 2
    found = rows(settings, number)
    assert [row["source"]["line"] for row in found] == [*range(1, 1_201)]  # type: ignore[index]
    os.kill(worker.pid, signal.SIGCONT)
    time.sleep(1.5)  # it finds out
    again = state(database, number)
    assert again is not None
    assert (again.state, again.finished_at) == ("done", job.finished_at)
    assert rows(settings, number) == found


def test_a_job_is_left_to_a_process_that_is_still_at_it(
    add: Add, make_runner: Callable[[], Runner], database: Database, settings: Settings
) -> None:
    number = add(SAMPLE)
    with (settings.data_dir / "jobs" / number / LOCK).open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        make_runner()
        until(lambda: children() != [])
        time.sleep(4)  # it would be done by now
        job = state(database, number)
        assert job is not None
        assert (job.state, job.error, job.progress) == ("running", None, {})
        assert not (settings.data_dir / "jobs" / number / "results").exists()
    job = wait(database, number, "done")
    assert job.attempts == 1


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_job_goes_on_while_the_database_is_away(
    add: Add, make_runner: Callable[[], Runner], database: Database, settings: Settings, request: pytest.FixtureRequest
) -> None:
    number = add(many(400), "a.jsonl")
    make_runner()
    begun(database, number)
    server = request.getfixturevalue("postgres")
    server.stop()
    try:
        until(lambda: not children())  # it comes to its end meanwhile
    finally:
        server.start()
    job = wait(database, number, "done")
    assert job.attempts == 1
    assert len(rows(settings, number)) == 400


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
        assert not jobs.take_back(session, number)
        assert jobs.find(session, number, "k") is None
    until(lambda: not runner.files.folder(number).exists() and state(database, number) is None)
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
        session.execute(update(Job).values(attempts=jobs.ATTEMPTS))
    runner = make_runner()
    job = wait(database, number, "failed")
    assert "tried 5 times" in (job.error or "")
    until(lambda: not runner.files.present(number))


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


def test_what_a_crash_left_over_is_erased(
    add: Add, make_runner: Callable[[int], Runner], database: Database, settings: Settings
) -> None:
    runner = make_runner(0)
    finished, waiting, unknown = add(SAMPLE), add(SAMPLE), add(SAMPLE)
    with database.session() as session:
        session.execute(update(Job).where(Job.id == finished).values(state="done", finished_at=time.time()))
        jobs.remove(session, unknown)
    runner.sweep()
    assert (runner.files.present(finished), runner.files.present(waiting)) == (False, True)
    assert runner.files.present(unknown)  # may be an upload that has just come
    runner.sweep(time.time() + 2 * 86_400)
    assert not runner.files.folder(unknown).exists()
    assert runner.files.present(waiting)
