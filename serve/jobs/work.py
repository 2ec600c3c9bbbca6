"""Scan the dump of a job, in a process of its own: one that a hostile dump brings down takes nobody along.

python -m serve.jobs.work < order.json

Reads what to do from standard input, and says how far it is on standard output, one JSON object a line. The last one
has `error`, null if all went well and else what is wrong with the dump; or `broke_off`, if something else went wrong
and it is worth another try; or `in_use`, if another process is at the same job.
"""

import fcntl
import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from ruthan.batch.results import ResultsError
from ruthan.batch.run import Job, Watch, run
from ruthan.batch.scan import Scanned
from ruthan.dumps.reading import Opened
from ruthan.dumps.rows import Unreadable
from ruthan.errors import DumpError
from ruthan.scanner import Scanner
from serve.jobs.processes import set_bounds

REPORT_SECONDS = 0.5
LOCK = "in-use"
LOCK_SECONDS = 15.0  # for another process, which should be at its end, to let go
FILES = 20  # that are named


@dataclass(frozen=True, kw_only=True)
class Order:
    """What to do.

    :param upload: folder of the dump, `name` its file there; results call it by that name only.
    :param results: folder for what is found.
    """

    upload: str
    name: str
    results: str
    model: str
    policy: str
    threads: int
    format: str | None = None
    column: str | None = None
    mask: bool = False
    with_text: bool = False


@dataclass
class Progress:
    """How far the work is."""

    bytes_read: int = 0
    messages: int = 0
    unreadable: int = 0
    notices: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    files: list[str] = field(default_factory=list)


class Reporter:
    """Tells the parent how far the work is, not too often."""

    def __init__(self, out: TextIO) -> None:
        self.progress = Progress()
        self._out = out
        self._told = 0.0

    def opened(self, file: Opened) -> None:
        if len(self.progress.files) < FILES:
            self.progress.files.append(_plain(f"{file.file}: {file.because}")[:300])
        self.tell()

    def bytes_read(self, size: int) -> None:
        self.progress.bytes_read += size
        self.tell()

    def scanned(self, scanned: Scanned) -> None:
        self.progress.messages += 1
        self.progress.actions[scanned.row["action"]] += 1
        self.progress.labels[scanned.row["label"]] += 1
        self.tell()

    def unreadable(self, _: Unreadable) -> None:
        self.progress.unreadable += 1
        self.tell()

    def tell(self, **more: Any) -> None:
        if more or time.monotonic() - self._told > REPORT_SECONDS:
            self._told = time.monotonic()
            print(json.dumps({**vars(self.progress), **more}), file=self._out, flush=True)


def work(order: Order, reporter: Reporter) -> None:
    """Carry out an order, telling how far it is."""
    os.chdir(order.upload)  # so that the dump has no other name than the caller's
    results = Path(order.results)
    try:
        with _alone(results.parent):
            scanner = Scanner(Path(order.model), Path(order.policy), order.threads, mask=order.mask)
            watch = Watch(reporter.opened, reporter.bytes_read, reporter.scanned, reporter.unreadable)
            job = Job(
                paths=[order.name], column=order.column, form=order.format, out=results, with_text=order.with_text
            )
            reporter.progress.notices = run(scanner, job, watch).notices
            _keep(results)
    except BlockingIOError:
        reporter.tell(in_use=True)
    except DumpError as error:
        reporter.tell(error=_plain(str(error).replace("--text-column", "the parameter column")))
    except MemoryError:
        reporter.tell(error="it takes more memory than a job may have; send it in parts, or in another format")
    except (ResultsError, OSError) as error:
        reporter.tell(broke_off="its results cannot be written; is the disk full?", at=_place(error))
    else:
        reporter.tell(error=None)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep another process away from the same job: one whose parent lost the lease, and has not noticed yet.

    :raises BlockingIOError: it does not end.
    """
    end = time.monotonic() + LOCK_SECONDS
    with (folder / LOCK).open("wb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)
        yield


def _keep(folder: Path) -> None:
    """Put the results on the disk for good: the dump is erased next."""
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _plain(told: str) -> str:
    """Fit for one line of a reply: what a dump calls its files may hold anything."""
    return "".join(character if character.isprintable() else "\ufffd" for character in told)


def _place(error: BaseException) -> str:
    """Where it happened, for the log; the words of an error may quote a message."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).stem}:{last.lineno}"


def main() -> int:
    """Read the order, and carry it out."""
    set_bounds()
    reporter = Reporter(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)  # what libraries print is no report
    try:
        work(Order(**json.load(sys.stdin)), reporter)
    except Exception as error:
        reporter.tell(broke_off="the process that read it failed; is the dump damaged?", at=_place(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
