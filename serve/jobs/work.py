"""Scan the dump of a job, in a process of its own: one that a hostile dump brings down takes nobody along.

python -m serve.jobs.work < job.json

Reads what to do from standard input, and says how far it is on standard output, one JSON object a line; the last one
has `error`, null if all went well. Runs behind the requests (nice), and ends when its parent is gone.
"""

import json
import os
import sys
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruthan.batch.run import Job, Watch, run
from ruthan.batch.scan import Scanned
from ruthan.dumps.reading import Opened
from ruthan.dumps.rows import Unreadable
from ruthan.errors import RuthanError
from ruthan.scanner import Scanner

REPORT_SECONDS = 0.5
NICENESS = 10


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


class _Reporter:
    def __init__(self) -> None:
        self.progress = Progress()
        self._told = 0.0

    def opened(self, file: Opened) -> None:
        if len(self.progress.files) < 20:
            self.progress.files.append(f"{file.file}: {file.because}"[:300])
        self.tell()

    def bytes_read(self, size: int) -> None:
        self.progress.bytes_read += size
        self.tell()

    def scanned(self, scanned: Scanned) -> None:
        self.progress.messages += 1
        self.progress.actions[scanned.row["action"]] += 1
        self.progress.labels[scanned.row["label"]] += 1
        self.tell()

    def unreadable(self, row: Unreadable) -> None:
        self.progress.unreadable += 1
        self.tell()

    def tell(self, **more: Any) -> None:
        if more or time.monotonic() - self._told > REPORT_SECONDS:
            self._told = time.monotonic()
            print(json.dumps({**vars(self.progress), **more}), flush=True)  # noqa: T201  # to the parent


def work(order: Order) -> None:
    """Carry out an order, telling how far it is."""
    os.chdir(order.upload)
    reporter = _Reporter()
    job = Job(
        paths=[order.name],
        column=order.column,
        form=order.format,
        out=Path(order.results),
        with_text=order.with_text,
    )
    try:
        scanner = Scanner(Path(order.model), Path(order.policy), order.threads, mask=order.mask)
        watch = Watch(reporter.opened, reporter.bytes_read, reporter.scanned, reporter.unreadable)
        outcome = run(scanner, job, watch)
    except RuthanError as error:
        reporter.tell(error=str(error))
    else:
        reporter.progress.notices = outcome.notices
        reporter.tell(error=None)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main() -> int:
    """Read the order, and carry it out."""
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    os.nice(NICENESS)
    try:
        work(Order(**json.load(sys.stdin)))
    except Exception as error:  # its words may quote a message
        last = traceback.extract_tb(error.__traceback__)[-1]
        print(json.dumps({"broke_off": f"{type(error).__name__} at {Path(last.filename).stem}:{last.lineno}"}))  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
