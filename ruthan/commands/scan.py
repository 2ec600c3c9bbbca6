"""`ruthan scan`: judge one message, or all messages of dumps."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ruthan.batch.memory import open_memory
from ruthan.batch.results import open_results
from ruthan.batch.run import CAMPAIGNS, REPORT, Job, Outcome, Watch, check_place, run
from ruthan.batch.scan import RowScanner, Scanned
from ruthan.batch.table import COLOURS, Overview, printable
from ruthan.commands.console import errors, output
from ruthan.dumps.reading import Opened, check_readable, size_of
from ruthan.dumps.rows import Unreadable
from ruthan.errors import DumpError
from ruthan.message import Message
from ruthan.policy import channel_name
from ruthan.scanner import Scanner
from ruthan.taxonomy import BENIGN, default_taxonomy

SHOWN = 20  # rows that could not be read which are printed; all are in the list beside the results
FOUND = 1  # exit code of --fail-on


def scan(options: argparse.Namespace) -> int:
    """Carry out the command and return its exit code.

    :raises RuthanError: wrong usage, or a file that cannot be read or written.
    """
    if (options.text is None) == (not options.paths):
        raise DumpError("give files to scan, or --text with one message; see ruthan scan --help")
    if unknown := sorted(set(options.label) - set(default_taxonomy().labels)):
        raise DumpError(f"--label {unknown[0]}: no such class; there are {', '.join(default_taxonomy().labels)}")
    if options.engine == "ray":
        actions = _scan_on_cluster(options)
    else:
        if options.address:
            raise DumpError("--address is of a Ray cluster; add --engine ray")
        out = Path(options.out) if options.out else None
        job = Job(
            paths=options.paths,
            column=options.text_column,
            form=options.format,
            out=out,
            with_text=options.with_text,
            least_risk=options.min_risk,
            labels=frozenset(options.label),
            actions=frozenset(options.action),
            known=options.known,
        )
        _check_places(job)
        scanner = Scanner(options.model, options.policy, mask=options.mask)
        if options.text is not None:
            actions = _scan_text(options, out, scanner)
        else:
            actions = _scan_dumps(job, scanner, Overview(options.top, options.mask))
    failing = {"review": ("review", "block"), "block": ("block",)}.get(options.fail_on, ())
    return FOUND if any(actions.get(action) for action in failing) else 0


def _check_places(job: Job) -> None:
    """:raises DumpError: a dump cannot be read, or results would be written over it.
    :raises ResultsError: results cannot be written there.
    """
    written = {os.path.realpath(path) for path in job.written}
    for path in job.paths:
        check_readable(path)
        if os.path.realpath(path) in written:
            raise DumpError(f"{path} is one of the files to scan; write the verdicts to another file or folder")
    if job.out is not None:
        check_place(job.out)
    if job.known and not job.folder:
        raise DumpError("--known is for results in a folder; give --out DIR")
    if job.known and os.path.realpath(job.known) in written:
        raise DumpError(
            f"--known {job.known}: this run writes that file, and a second time would count its messages again; "
            "give another --out DIR, or a copy"
        )


def _scan_on_cluster(options: argparse.Namespace) -> Mapping[str, int]:
    from ruthan.batch.cluster import NOT_READ, VERDICTS, scan_on_cluster

    if options.text is not None or not options.out:
        raise DumpError("--engine ray scans files, and writes to a folder: give PATH… and --out DIR")
    if options.min_risk or options.label or options.action or options.known:
        raise DumpError(
            "--engine ray writes all rows: --min-risk, --label, --action and --known are for --engine local"
        )
    outcome = scan_on_cluster(
        options.paths,
        options.out,
        address=options.address,
        model=options.model,
        policy=options.policy,
        mask=options.mask,
        with_text=options.with_text,
        column=options.text_column,
        form=options.format,
    )
    console = output()
    actions = ", ".join(f"{action} {outcome.actions.get(action, 0):,}" for action in COLOURS)
    console.print(Text(f"{outcome.messages:,} messages: {actions}"))
    if outcome.not_read:
        place = f"{options.out}/{NOT_READ}"
        errors().print(Text(f"{outcome.not_read:,} entries are no text to scan, or were not read, see {place}"))
    console.print(Text(f"verdicts: {options.out}/{VERDICTS}"), soft_wrap=True)
    return outcome.actions


def _scan_text(options: argparse.Namespace, out: Path | None, scanner: Scanner) -> Mapping[str, int]:
    with open_memory(None, scanner.classifier.info) as memory:
        [scanned] = RowScanner(scanner, memory, options.with_text).scan([Message(options.text)])
    row = scanned.row
    if out:
        with open_results(out, options.with_text) as writer:
            writer.write(row)
    console = output()
    name = scanner.taxonomy[row["label"]].thai
    console.print(Text(f"{row['action']}  risk {row['risk']:.3f}  {row['label']} {name}", COLOURS[row["action"]]))
    for line in (*row["reasons"], *row["advice"]):
        console.print(Text(line))
    for each in row["evidence"]:
        console.print(Text(printable(f"{each['type']}: {each.get('value') or each['text']}")))
    return {row["action"]: 1}


def _scan_dumps(job: Job, scanner: Scanner, overview: Overview) -> Mapping[str, int]:
    watcher = _Watcher(errors(), overview, scanner, size_of(job.paths))
    with watcher.progress:
        outcome = run(scanner, job, Watch(watcher.opened, watcher.bytes_read, watcher.scanned, watcher.unreadable))
    watcher.overview.show(output())
    _tell(job, outcome, watcher)
    return watcher.overview.actions


class _Watcher:
    """Shows what goes on while messages are scanned."""

    def __init__(self, console: Console, overview: Overview, scanner: Scanner, size: int | None) -> None:
        self.console, self.overview = console, overview
        self.policy = scanner.policy.name
        self.unused = set(scanner.policy.channels)  # likely misspelt, or named otherwise in the dump
        self.not_read = self.harmful = self._bytes = 0
        told = "{task.fields[messages]:,} messages, {task.fields[rate]:,.0f} a second, {task.fields[share]:.1%} harmful"
        self.progress = Progress(
            SpinnerColumn(),
            BarColumn(),
            TextColumn(told),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=False),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self.progress.add_task("", total=size, messages=0, rate=0.0, share=0.0)

    def opened(self, file: Opened) -> None:
        self.console.print(Text(f"{printable(file.file)}: {file.because}"), soft_wrap=True)

    def bytes_read(self, size: int) -> None:
        self._bytes += size

    def scanned(self, scanned: Scanned) -> None:
        row: dict[str, Any] = scanned.row
        self.overview.add(scanned.message, row)
        self.unused.discard(channel_name(scanned.message.channel))
        self.harmful += row["label"] != BENIGN
        messages = self.overview.messages
        if messages % 64 == 0:
            elapsed = self.progress.tasks[0].elapsed or 1e-9
            self.progress.update(
                self._task,
                completed=self._bytes,
                messages=messages,
                rate=messages / elapsed,
                share=self.harmful / messages,
            )

    def unreadable(self, row: Unreadable) -> None:
        self.not_read += 1
        if self.not_read <= SHOWN:
            place = printable(f"{row.source.file}:{row.source.line}")
            self.console.print(Text(f"{place}: not read: {printable(row.reason)}"), soft_wrap=True)


def _tell(job: Job, outcome: Outcome, watcher: _Watcher) -> None:
    """Print what a run came to, beyond its table: what was not read to standard error, what was written to output."""
    console, say = output(), watcher.console
    if outcome.notices:
        say.print(
            Text(f"{outcome.notices:,} system lines, stickers, pictures and the like hold no text to scan"),
            soft_wrap=True,
        )
    if outcome.unreadable:
        where = "see above" if outcome.unreadable <= SHOWN or job.not_read is None else f"see {job.not_read}"
        say.print(Text(f"{outcome.unreadable:,} entries were not read, {where}"), soft_wrap=True)
    if outcome.again:
        say.print(
            Text(f"{outcome.again:,} paths lead to files that had been read; each file is read once"), soft_wrap=True
        )
    if watcher.unused:
        names = ", ".join(sorted(watcher.unused))
        told = f"policy {watcher.policy}: no message had the channel {names}; see its spelling"
        say.print(Text(told), soft_wrap=True)
    if job.results:
        console.print(Text(f"verdicts: {job.results}"), soft_wrap=True)
    if job.folder:
        console.print(Text(f"campaigns: {len(outcome.campaigns):,}, {job.folder / CAMPAIGNS}"), soft_wrap=True)
        console.print(Text(f"report: {job.folder / REPORT}"), soft_wrap=True)
