"""The command line.

ruthan scan inbox.csv --out verdicts.jsonl
ruthan explain "คุณได้รับอนุมัติวงเงินกู้ …"
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ruthan import __version__
from ruthan.errors import DumpError, RuthanError

if TYPE_CHECKING:
    from rich.console import Console

    from ruthan.dumps.unreadable import Unreadable
    from ruthan.scanner import Scanner

PIPE_WIDTH = 160  # columns of the table where the output is no terminal that has a width


def parser() -> argparse.ArgumentParser:
    """The options of `ruthan`."""
    result = argparse.ArgumentParser(
        prog="ruthan", description="ruthan (รู้ทัน): says which messages are scams or trafficking recruitment."
    )
    result.add_argument("--version", action="version", version=f"ruthan {__version__}")
    commands = result.add_subparsers(dest="command", required=True)
    scan = commands.add_parser(
        "scan",
        help="scan messages in files: CSV, TSV, JSON lines or plain text",
        description="Scan every message of the files and show the riskiest. Exit code 0 when the run was clean, "
        "2 for wrong usage or a file that cannot be read.",
    )
    scan.add_argument("paths", nargs="*", metavar="PATH", help="a dump, or - for standard input")
    scan.add_argument("--text", metavar="TEXT", help="scan this one message instead")
    scan.add_argument("--out", type=Path, metavar="FILE", help="write all verdicts to FILE.jsonl or FILE.csv")
    scan.add_argument("--text-column", metavar="NAME", help="column or field that holds the message (default: found)")
    scan.add_argument("--top", type=int, default=20, metavar="N", help="how many messages to show (default: 20)")
    explain = commands.add_parser(
        "explain",
        help="judge one message and show why, word by word",
        description="Judge one message and show what was found in it: warning signs, identifiers, disguises, the words "
        "the model went by, reasons and advice in Thai and English.",
    )
    explain.add_argument("text", metavar="TEXT", help="the message, or - for standard input")
    explain.add_argument("--json", action="store_true", help="print the verdict as JSON instead")
    for command in (scan, explain):
        command.add_argument("--mask", action="store_true", help="hide numbers, ids, accounts and names of people")
        command.add_argument("--model", type=Path, metavar="DIR", help="a model bundle (default: the one that ships)")
        command.add_argument("--policy", type=Path, metavar="FILE", help="a policy file (default: the one that ships)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `ruthan` and return its exit code."""
    options = parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        return _explain(options) if options.command == "explain" else _scan(options)
    except RuthanError as error:
        print(f"ruthan: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has gone, as in `ruthan scan … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("ruthan: stopped", file=sys.stderr)
        return 130


def _scan(options: argparse.Namespace) -> int:
    from ruthan.dumps.reading import check_readable
    from ruthan.scanner import Scanner

    if (options.text is None) == (not options.paths):
        raise DumpError("give files to scan, or --text with one message; see ruthan scan --help")
    for path in options.paths:
        check_readable(path)
        if options.out and options.out.exists() and Path(path).exists() and options.out.samefile(path):
            raise DumpError(f"{options.out} is one of the files to scan; write the verdicts to another file")

    console = _console()
    scanner = Scanner(options.model, options.policy, mask=options.mask)
    if options.text is not None:
        return _scan_text(options, scanner, console)
    return _scan_dumps(options, scanner, console)


def _scan_text(options: argparse.Namespace, scanner: "Scanner", console: "Console") -> int:
    from rich.text import Text

    from ruthan.batch.results import open_results
    from ruthan.batch.table import COLOURS, printable

    verdict = scanner.scan(options.text)
    if options.out:
        with open_results(options.out) as writer:
            writer.write(verdict)
    name = scanner.taxonomy[verdict.label].thai
    console.print(Text(f"{verdict.action}  risk {verdict.risk:.3f}  {verdict.label} {name}", COLOURS[verdict.action]))
    for reason in verdict.reasons:
        console.print(Text(reason))
    for line in verdict.advice:
        console.print(Text(line))
    for each in verdict.evidence:
        console.print(Text(f"{each.type}: {each.value or printable(each.text)}"))
    return 0


def _console() -> "Console":
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def _explain(options: argparse.Namespace) -> int:
    from ruthan.breakdown import show
    from ruthan.masking import mask
    from ruthan.scanner import Scanner

    text = _standard_input() if options.text == "-" else options.text
    verdict = Scanner(options.model, options.policy, mask=options.mask).scan(text, explain=True)
    if options.json:
        print(json.dumps(verdict.to_dict(), ensure_ascii=False, indent=2))
    else:
        show(_console(), mask(text) if options.mask else text, verdict)
    return 0


def _standard_input() -> str:
    """One message from standard input, in UTF-8 or else in cp874."""
    content = sys.stdin.buffer.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp874", "replace")


def _scan_dumps(options: argparse.Namespace, scanner: "Scanner", console: "Console") -> int:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from ruthan.batch.results import open_results
    from ruthan.batch.scan import scan_dumps
    from ruthan.batch.table import Overview
    from ruthan.policy import channel_name

    errors = Console(stderr=True, highlight=False)
    overview = Overview(options.top, options.mask)
    unreadable = 0
    unused = set(scanner.policy.channels)  # likely misspelt, or named otherwise in the dump

    def report(row: "Unreadable") -> None:
        nonlocal unreadable
        unreadable += 1
        print(f"{row.source.file}:{row.source.line}: not read: {row.reason}", file=sys.stderr)

    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.completed} messages, {task.fields[rate]:.0f} a second"),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    with ExitStack() as stack:
        writer = stack.enter_context(open_results(options.out)) if options.out else None
        stack.enter_context(progress)
        task = progress.add_task("", total=None, rate=0.0)
        for message, verdict in scan_dumps(scanner, options.paths, options.text_column, report):
            if writer:
                writer.write(verdict)
            overview.add(message, verdict)
            unused.discard(channel_name(message.channel))
            elapsed = progress.tasks[0].elapsed or 1e-9
            progress.update(task, advance=1, rate=overview.messages / elapsed)
    overview.show(console)
    if unreadable:
        print(f"{unreadable} rows were not read, see above", file=sys.stderr)
    if unused:
        names = ", ".join(sorted(unused))
        print(f"policy {scanner.policy.name}: no message had the channel {names}; see its spelling", file=sys.stderr)
    if options.out:
        print(f"verdicts: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
