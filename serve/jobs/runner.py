"""Runs jobs beside the requests, each in a process of its own, and sees to it that none is lost."""

import contextlib
import json
import logging
import os
import selectors
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import IO, Any, TypeVar
from uuid import uuid4

from sqlalchemy.orm import Session

from serve.engine.models import Models
from serve.jobs.files import DAY, JobFiles
from serve.jobs.processes import environment
from serve.jobs.results import Conversions
from serve.jobs.work import Order
from serve.problems import Problem
from serve.settings import Settings
from serve.storage import jobs
from serve.storage.database import Database
from serve.storage.tables import Job
from serve.telemetry.metrics import Metrics

LOOK_SECONDS = 1.0  # between two looks for a job that another worker was given
RENEW_SECONDS = 5.0  # between two renewals of a lease, while nothing else is to be told
TELL_SECONDS = 0.5  # between two notes of how far a job is
SILENT_SECONDS = 3_600.0  # in which a process neither reads nor finds anything: a dump was made to keep it busy
STOP_SECONDS = 10.0  # for a process to end when it is told to

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Runner:
    """As many threads as there may be jobs at once."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics, models: Models) -> None:
        self._settings, self._database, self._metrics, self._models = settings, database, metrics, models
        self.files = JobFiles(settings.data_dir)
        self.conversions = Conversions()
        self._stopping = threading.Event()
        self._given = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Begin to take jobs."""
        for number in range(self._settings.jobs_at_once):
            name = f"{socket.gethostname()[:24]}-{os.getpid()}-{number}-{uuid4().hex[:8]}"
            thread = threading.Thread(target=self._take_jobs, args=(name,), name=f"ruthan-jobs-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Take no more jobs, and give back those under way: they go on where they were, here or elsewhere."""
        self._stopping.set()
        self._given.set()
        for thread in self._threads:
            thread.join()

    def wake(self) -> None:
        """There is a job: look now."""
        self._given.set()

    def sweep(self, now: float | None = None) -> int:
        """Erase what is past its days, and what was left over; how many jobs.

        :raises Problem: the database is away.
        """
        before = (now or time.time()) - self._settings.job_retention_days * DAY
        with self._database.session() as session:
            numbers = jobs.expired(session, before)
            jobs.abandon(session, before)
        for number in numbers:
            self.files.erase(number)
            with self._database.session() as session:
                jobs.remove(session, number)
        left, dumps = self.files.left_over(now), self.files.dumps()
        with self._database.session() as session:
            known = jobs.existing(session, left)
            over = jobs.over(session, dumps)  # whose worker was killed between the end and the erasure
        for number in set(left) - known:
            self.files.erase(number)
        for number in over:
            self.files.drop_upload(number)
        return len(numbers)

    def _take_jobs(self, name: str) -> None:
        while not self._stopping.is_set():
            try:
                with self._database.session() as session:
                    job = jobs.claim(session, name, self.files.present)
                if job is not None and job.state == "running":
                    self._run(job, name)
                    continue
                if job is not None:
                    self._ended(job.id, job.state)
                    continue
            except Problem as problem:  # the lease runs out, and the job is taken again
                _log.warning("jobs wait: %s", problem.kind)
            except Exception as error:
                _log.error("a job was left", extra={"error": type(error).__name__})
            self._given.wait(LOOK_SECONDS)
            self._given.clear()

    def _run(self, job: Job, name: str) -> None:
        self._metrics.job("running")
        order = json.dumps(asdict(self._order(job))).encode()
        process = subprocess.Popen(
            [sys.executable, "-m", "serve.jobs.work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a library's words may quote a message
            env=environment(),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(order)
                process.stdin.close()
            last = self._follow(job, name, process.stdout)
        finally:
            _end(process)
            process.stdout.close()
        if last is None:
            self._not_ours(job.id)
        elif "error" in last:
            self._finish(job.id, name, last)
        elif self._stopping.is_set() or "in_use" in last:
            if not self._surely(lambda session: jobs.give_back(session, job.id, name)):
                self._not_ours(job.id)
        else:
            self._broke_off(job, name, last, process.returncode)

    def _order(self, job: Job) -> Order:
        loaded, options = self._models.current, job.options
        return Order(
            upload=str(self.files.upload(job.id).absolute()),
            name=job.name,
            results=str(self.files.results(job.id).absolute()),
            model=str(loaded.model_path.absolute()),
            policy=str(loaded.policy_path.absolute()),
            threads=loaded.scanner.classifier.threads,
            format=options.get("format"),
            column=options.get("column"),
            mask=bool(options.get("mask")),
            with_text=bool(options.get("with_text")),
        )

    def _follow(self, job: Job, name: str, output: IO[bytes]) -> dict[str, Any] | None:
        """Pass on how far a process is, until it ends; its last words. None if the job is not ours any more.

        While the database is away the process goes on: nobody else can take the job then.
        """
        last: dict[str, Any] = {}
        buffer, told, heard = b"", 0.0, time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not self._stopping.is_set():
                news = bool(selector.select(TELL_SECONDS))
                now = time.monotonic()
                if news:
                    data = os.read(output.fileno(), 65_536)
                    if not data:
                        return last
                    heard = now
                    *lines, buffer = (buffer + data).split(b"\n")
                    if lines:
                        last = json.loads(lines[-1])
                    if last.keys() & {"error", "broke_off", "in_use"}:
                        return last
                elif now - heard > SILENT_SECONDS:
                    return {**last, "error": "nothing was found in it for an hour; send it in parts"}
                if now - told >= (TELL_SECONDS if news else RENEW_SECONDS):
                    with contextlib.suppress(Problem):
                        if not self._report(job.id, name, last):
                            return None
                        told = now
        return last

    def _report(self, number: str, name: str, last: dict[str, Any]) -> bool:
        """Whether the job is still ours."""
        with self._database.session() as session:
            return jobs.report(session, number, name, last.get("bytes_read", 0), _progress(last))

    def _finish(self, number: str, name: str, last: dict[str, Any]) -> None:
        def finish(session: Session) -> bool:
            ours = jobs.report(session, number, name, last.get("bytes_read", 0), _progress(last))
            return ours and jobs.finish(session, number, name, last["error"])

        if self._surely(finish):
            self._ended(number, "done" if last["error"] is None else "failed")
        else:
            self._not_ours(number)

    def _broke_off(self, job: Job, name: str, last: dict[str, Any], code: int) -> None:
        _log.warning("a job broke off", extra={"job": job.id, "at": last.get("at"), "code": code})
        why = last.get("broke_off", "the process that read it ended; is the dump damaged?")
        if not self._surely(lambda session: jobs.break_off(session, job.id, name, job.attempts, why)):
            self._not_ours(job.id)
        elif job.attempts >= jobs.ATTEMPTS:
            self._ended(job.id, "failed")

    def _surely(self, work: Callable[[Session], T]) -> T:
        """Do it, in a transaction, as soon as the database is there.

        :raises Problem: it was not, and the service stops.
        """
        while True:
            try:
                with self._database.session() as session:
                    return work(session)
            except Problem:
                if self._stopping.wait(LOOK_SECONDS):
                    raise

    def _not_ours(self, number: str) -> None:
        """The job was taken back by its owner, or is run by another."""

        def forget(session: Session) -> bool:
            row = session.get(Job, number)
            gone = row is None or row.state == "cancelled"
            if row is not None and gone:
                session.delete(row)
            return gone

        if self._surely(forget):
            self.files.erase(number)

    def _ended(self, number: str, state: str) -> None:
        self.files.drop_upload(number)
        self._metrics.job(state)
        _log.info("job %s", state, extra={"job": number})


def _progress(last: dict[str, Any]) -> dict[str, Any]:
    return {
        key: last[key] for key in ("messages", "notices", "unreadable", "actions", "labels", "files") if key in last
    }


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
