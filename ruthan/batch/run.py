"""A batch run: dumps in, results out, and, into a folder, campaigns, lists of indicators and a report."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any

from ruthan.batch.campaign_file import read_campaigns, write_campaigns
from ruthan.batch.campaigns import Campaign, Campaigns
from ruthan.batch.indicator_lists import write_indicator_csv, write_stix
from ruthan.batch.memory import open_memory
from ruthan.batch.report import ReportFacts, write_report
from ruthan.batch.results import WRITERS, ResultsError, draft_of, json_line, make_folder, open_results, replacing
from ruthan.batch.scan import RowScanner, Scanned
from ruthan.batch.summary import Summary
from ruthan.dumps.containers import Once
from ruthan.dumps.dates import BANGKOK
from ruthan.dumps.reading import Opened, read_dump
from ruthan.dumps.rows import Notice, Unreadable
from ruthan.message import Message
from ruthan.scanner import Scanner

RESULTS, NOT_READ, CAMPAIGNS, REPORT = "verdicts.jsonl", "not-read.jsonl", "campaigns.jsonl", "report.html"
INDICATORS, STIX, PROGRESS = "indicators.csv", "indicators.stix.json", "progress.sqlite"


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to scan, and what to write.

    :param paths: dumps, folders, patterns, or `-` for standard input.
    :param column: the column or field of the text, where it is not to be found by its name.
    :param form: the format of all dumps, where it is not to be found by their content.
    :param out: a file of results, by its ending, or a folder (`is_folder`) for results and all that follows from them;
        None to write nothing.
    :param with_text: write texts, senders and threads into the results and the report.
    :param least_risk, labels, actions: which rows the results hold; counts, campaigns and report are of all.
    :param known: campaigns of earlier runs, which those of this one are joined with.
    """

    paths: Sequence[str]
    column: str | None = None
    form: str | None = None
    out: Path | None = None
    with_text: bool = False
    least_risk: float = 0.0
    labels: frozenset[str] = frozenset()
    actions: frozenset[str] = frozenset()
    known: Path | None = None

    @property
    def folder(self) -> Path | None:
        """The folder to write to, if it is one."""
        return self.out if self.out is not None and is_folder(self.out) else None

    @property
    def results(self) -> Path | None:
        """The file of results."""
        return self.folder / RESULTS if self.folder else self.out

    @property
    def progress(self) -> Path | None:
        """What a run that was stopped goes on from; gone when the run is done."""
        if self.out is None or (self.out.exists() and not self.out.is_file() and not self.folder):
            return None
        return self.folder / PROGRESS if self.folder else self.out.with_name(f"{self.out.name}.progress")

    @property
    def not_read(self) -> Path | None:
        """The list of entries that are no messages; beside results in a file there is one only if there are some."""
        if self.progress is None or self.out is None:
            return None
        return self.folder / NOT_READ if self.folder else self.out.with_name(f"{self.out.stem}.{NOT_READ}")

    @property
    def progress_files(self) -> list[Path]:
        """The file of progress and those that its database lays beside it."""
        if self.progress is None:
            return []
        return [self.progress.with_name(self.progress.name + ending) for ending in ("", "-wal", "-shm", "-journal")]

    @property
    def written(self) -> list[Path]:
        """All files that a run writes, those that are gone at its end too."""
        files = [self.results, self.not_read]
        if self.folder:
            files += [self.folder / name for name in (CAMPAIGNS, REPORT, INDICATORS, STIX)]
        whole = [file for file in files if file is not None]
        return [*whole, *map(draft_of, whole), *self.progress_files]

    def wants(self, row: dict[str, Any]) -> bool:
        """Whether the results hold this row."""
        return (
            row["risk"] >= self.least_risk
            and (not self.labels or row["label"] in self.labels)
            and (not self.actions or row["action"] in self.actions)
        )


def check_place(out: Path) -> None:
    """See to it early that results can be written to `out`.

    :raises ResultsError: it is neither a folder nor a file of a known form in a folder that there is.
    """
    if str(out) == "-":
        raise ResultsError("--out - is no file: results go to a file or a folder, or to a named pipe such as p.jsonl")
    if is_folder(out):
        return
    if out.suffix.lower() not in WRITERS:
        raise ResultsError(
            f"cannot write {out}: the ending must be one of {', '.join(WRITERS)}; or give a folder, whose name has none"
        )
    if not out.parent.is_dir():
        raise ResultsError(f"cannot write {out}: there is no folder {out.parent}; make it first")


def is_folder(path: Path) -> bool:
    """Whether results go into a folder of this name: it is one, or has no ending."""
    return path.is_dir() or (not path.exists() and not path.suffix)


@dataclass
class Watch:
    """Who is told what, while a run goes on."""

    opened: Callable[[Opened], None] = lambda _: None
    bytes_read: Callable[[int], None] = lambda _: None
    scanned: Callable[[Scanned], None] = lambda _: None
    unreadable: Callable[[Unreadable], None] = lambda _: None


@dataclass
class Outcome:
    """What a run came to: `messages + notices + unreadable` is the number of entries of the dumps."""

    summary: Summary
    campaigns: list[Campaign] = field(default_factory=list)
    messages: int = 0
    notices: int = 0
    unreadable: int = 0
    again: int = 0  # paths of files that had been read by another one


def run(scanner: Scanner, job: Job, watch: Watch) -> Outcome:
    """Scan all messages of a job's dumps and write what it asks for.

    A run that was stopped, however, goes on when it is given again: what the model has said is remembered in
    `job.progress`, and all else is done anew, so that what is written does not differ from that of one run. Files take
    their names when they are whole.

    :raises DumpError: a dump cannot be read.
    :raises ResultsError: something cannot be written.
    :raises DataError: the known campaigns cannot be read.
    """
    outcome = Outcome(Summary())
    with ExitStack() as stack:
        if job.folder:
            make_folder(job.folder)
        known = read_campaigns(job.known) if job.known else []
        if not job.with_text or scanner.mask:  # what an earlier run could tell, this one may not
            known = [replace(each, exemplar=None) for each in known]
        campaigns = Campaigns(known) if job.folder else None
        memory = stack.enter_context(open_memory(job.progress, scanner.classifier.info))
        writer = stack.enter_context(open_results(job.results, job.with_text)) if job.results else None
        others = stack.enter_context(replacing(job.not_read)) if job.not_read else None
        files: Counter[str] = Counter()
        once = Once(job.written)

        def opened(file: Opened) -> None:
            files[file.file] += 1
            watch.opened(file)

        def messages() -> Iterator[Message]:
            for path in job.paths:
                for row in read_dump(path, job.column, job.form, opened, watch.bytes_read, once):
                    if isinstance(row, Message):
                        outcome.messages += 1
                        yield row
                        continue
                    if isinstance(row, Notice):
                        outcome.notices += 1
                        outcome.summary.notice(row.what)
                        why = {"notice": row.what}
                    else:
                        outcome.unreadable += 1
                        outcome.summary.unreadable(row.reason, row.source.file, row.source.line)
                        watch.unreadable(row)
                        why = {"reason": row.reason}
                    if others:
                        others.write(json_line({"file": row.source.file, "line": row.source.line, **why}))

        for scanned in RowScanner(scanner, memory, job.with_text).scan(messages()):
            row = scanned.row
            outcome.summary.add(row)
            if campaigns:
                campaigns.add(row, scanned.message.text)
            if writer and job.wants(row):
                writer.write(row)
            watch.scanned(scanned)
        outcome.again = once.again
        if job.folder and campaigns:
            outcome.campaigns = campaigns.found(seen_only=True)
            write_campaigns(job.folder / CAMPAIGNS, campaigns.found(smallest=1))  # a single message may be a beginning
            _write_findings(job.folder, outcome, list(files), scanner)
    if job.progress:
        for path in job.progress_files:
            path.unlink(missing_ok=True)
    if job.not_read and not job.folder and not outcome.notices and not outcome.unreadable:
        job.not_read.unlink(missing_ok=True)
    return outcome


def _write_findings(folder: Path, outcome: Outcome, files: list[str], scanner: Scanner) -> None:
    now = _now()
    write_indicator_csv(folder / INDICATORS, outcome.campaigns)
    write_stix(folder / STIX, outcome.campaigns, now)
    facts = ReportFacts(
        files=tuple(files),
        made_at=now,
        masked=scanner.mask,
        results=RESULTS,
        review=scanner.policy.review,
        block=scanner.policy.block,
    )
    write_report(folder / REPORT, outcome.summary, outcome.campaigns, facts)


def _now() -> datetime:
    """The time that reports carry: now, or what SOURCE_DATE_EPOCH says, so that runs can be compared byte for byte."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    seconds = int(given) if given.isdecimal() and len(given) <= 11 else time()
    return datetime.fromtimestamp(seconds, BANGKOK).replace(microsecond=0)
