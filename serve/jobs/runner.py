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
from dataclasses import asdict
from typing import IO, Any
from uuid import uuid4

from serve.engine.models import Models
from serve.jobs.files import DAY, JobFiles
from serve.jobs.work import Order
from serve.problems import Problem
from serve.settings import Settings
from serve.storage import jobs
from serve.storage.database import Database
from serve.storage.tables import Job
from serve.telemetry.metrics import Metrics

LOOK_SECONDS = 1.0  # between two looks for a job that another worker was given
RENEW_SECONDS = 5.0  # between two renewals of a lease, while nothing else is to be told
STOP_SECONDS = 10.0  # for a process to end when it is told to

_log = logging.getLogger(__name__)


class Runner:
    """As many threads as there may be jobs at once."""

    def __init__(self, settings: Settings, database: Database, metrics: Metrics, models: Models) -> None:
        self._settings, self._database, self._metrics, self._models = settings, database, metrics, models
        self.files = JobFiles(settings.data_dir)
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
        for number in numbers:
            self.files.erase(number)
            with self._database.session() as session:
                jobs.remove(session, number)
        left = self.files.left_over(now)
        with self._database.session() as session:
            known = jobs.existing(session, left)
        for number in set(left) - known:
            self.files.erase(number)
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
            except Problem as problem:  # the database is away: its lease runs out, and the job is taken again
                _log.warning("jobs wait: %s", problem.kind)
            except Exception as error:
                _log.error("a job was left", extra={"error": type(error).__name__})
                time.sleep(LOOK_SECONDS)
            self._given.wait(LOOK_SECONDS)
            self._given.clear()

    def _run(self, job: Job, name: str) -> None:
        self._metrics.job("running")
        process = subprocess.Popen(
            [sys.executable, "-m", "serve.jobs.work"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a library's words may quote a message
            env=_environment(),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(asdict(self._order(job))).encode())
                process.stdin.close()
            last = self._follow(job, name, process.stdout)
        finally:
            _end(process)
            process.stdout.close()
        if last is None:
            self._not_ours(job.id)
        elif self._stopping.is_set() and "error" not in last:
            with self._database.session() as session:
                jobs.give_back(session, job.id, name, counted=False)
        elif "error" not in last:
            _log.warning("a job broke off", extra={"job": job.id, "why": last.get("broke_off", process.returncode)})
            with self._database.session() as session:
                jobs.give_back(session, job.id, name, counted=True)
        else:
            self._finish(job.id, name, last)

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
        """Pass on how far a process is, until it ends; its last words. None if the job was taken back meanwhile.

        While the database is away the process goes on, as long as the lease lasts.

        :raises Problem: it was away for longer.
        """
        last: dict[str, Any] = {}
        buffer, renewed = b"", time.monotonic()
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not self._stopping.is_set():
                if selector.select(0.5):
                    data = os.read(output.fileno(), 65_536)
                    if not data:
                        return last
                    *lines, buffer = (buffer + data).split(b"\n")
                    if lines:
                        last = json.loads(lines[-1])
                    if "error" in last:
                        return last
                elif time.monotonic() - renewed < RENEW_SECONDS:
                    continue
                if time.monotonic() - renewed >= 0.5:
                    try:
                        if not self._report(job.id, name, last):
                            return None
                        renewed = time.monotonic()
                    except Problem:
                        if time.monotonic() - renewed > jobs.LEASE_SECONDS - RENEW_SECONDS:
                            raise
                        time.sleep(0.5)
        return last

    def _report(self, number: str, name: str, last: dict[str, Any]) -> bool:
        """Whether the job is still ours."""
        progress = {key: value for key, value in last.items() if key not in ("bytes_read", "error", "broke_off")}
        with self._database.session() as session:
            return jobs.report(session, number, name, last.get("bytes_read", 0), progress)

    def _finish(self, number: str, name: str, last: dict[str, Any]) -> None:
        if not self._report(number, name, last):
            self._not_ours(number)
            return
        with self._database.session() as session:
            jobs.finish(session, number, name, last["error"])
        self.files.drop_upload(number)
        self._ended(number, "done" if last["error"] is None else "failed")

    def _not_ours(self, number: str) -> None:
        """The job was taken back by its owner, or, after the database had been away, is run by another."""
        with self._database.session() as session:
            row = session.get(Job, number)
            gone = row is None or row.state == "cancelled"
            if row is not None and gone:
                session.delete(row)
        if gone:
            self.files.erase(number)

    def _ended(self, number: str, state: str) -> None:
        self._metrics.job(state)
        _log.info("job %s", state, extra={"job": number})


def _environment() -> dict[str, str]:
    """What the process needs of ours: no secret is among it."""
    kept = (
        "PATH",
        "PYTHONPATH",
        "VIRTUAL_ENV",
        "LANG",
        "LC_ALL",
        "LC_CTYPE",
        "HOME",
        "TMPDIR",
        "TZ",
        "LD_LIBRARY_PATH",
    )
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONSAFEPATH": "1"}


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
