"""The command line.

ruthan scan inbox.csv --out verdicts.jsonl
ruthan campaigns verdicts.jsonl
ruthan explain "คุณได้รับอนุมัติวงเงินกู้ …"
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ruthan import __version__
from ruthan.errors import RuthanError

FORMATS = (
    ("line", "whatsapp", "telegram", "meta", "discord", "sms-xml", "mbox", "eml")
    + ("csv", "tsv", "jsonl", "json", "text", "xlsx", "parquet")
)  # fmt: skip
ENDINGS = ".jsonl, .csv, .parquet, .xlsx, .sqlite or .duckdb"


def parser() -> argparse.ArgumentParser:
    """The options of `ruthan`."""
    result = argparse.ArgumentParser(
        prog="ruthan", description="ruthan (รู้ทัน): says which messages are scams or trafficking recruitment."
    )
    result.add_argument("--version", action="version", version=f"ruthan {__version__}")
    commands = result.add_subparsers(dest="command", required=True)
    scan = commands.add_parser(
        "scan",
        help="scan messages in files: chat exports, SMS backups, mail, tables, text",
        description="Scan every message of dumps and show the riskiest. A run that was stopped goes on when the same "
        "command is given again. Exit code 0 when all went well, 1 when --fail-on found something, 2 for wrong usage "
        "or what cannot be read or written.",
    )
    scan.add_argument("paths", nargs="*", metavar="PATH", help="a dump, a folder, or - for standard input")
    scan.add_argument("--text", metavar="TEXT", help="scan this one message instead")
    scan.add_argument(
        "--out",
        metavar="PATH",
        help=f"write all verdicts to a file, {ENDINGS}; or to a folder, with campaigns and a report",
    )
    scan.add_argument("--format", choices=FORMATS, metavar="NAME", help=f"{', '.join(FORMATS)} (default: found)")
    scan.add_argument("--text-column", metavar="NAME", help="column or field that holds the message (default: found)")
    scan.add_argument("--top", type=_count, default=20, metavar="N", help="how many messages to show (default: 20)")
    scan.add_argument("--min-risk", type=_risk, default=0.0, metavar="RISK", help="write only verdicts of this risk up")
    scan.add_argument("--label", action="append", default=[], metavar="CLASS", help="write only this class; repeatable")
    scan.add_argument(
        "--action",
        action="append",
        default=[],
        choices=("allow", "review", "block"),
        help="write only verdicts with this action; repeatable",
    )
    scan.add_argument("--with-text", action="store_true", help="write texts and senders beside the verdicts")
    scan.add_argument(
        "--no-text", dest="with_text", action="store_false", help="… senders as pseudonyms, and no text (the default)"
    )
    scan.add_argument("--known", type=Path, metavar="FILE", help="campaigns of earlier runs, to join these with")
    scan.add_argument(
        "--fail-on", choices=("review", "block"), help="exit code 1 if a message gets this action, or more"
    )
    scan.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: on the cores of a Ray cluster, results as Parquet files in the folder --out (default: local)",
    )
    scan.add_argument("--address", metavar="ADDRESS", help="of a running Ray cluster (default: one on this machine)")
    campaigns = commands.add_parser(
        "campaigns",
        help="show which messages of results belong together",
        description="Group the harmful messages of results by near-equal text and by shared contacts, links and "
        "accounts.",
    )
    campaigns.add_argument(
        "results", nargs="+", type=Path, metavar="RESULTS", help=f"what ruthan scan wrote: {ENDINGS}"
    )
    campaigns.add_argument("--known", type=Path, metavar="FILE", help="campaigns of earlier runs, to join these with")
    campaigns.add_argument("--out", type=Path, metavar="FILE", help="write them to FILE.jsonl")
    campaigns.add_argument("--csv", type=Path, metavar="FILE", help="write their indicators to FILE.csv")
    campaigns.add_argument("--stix", type=Path, metavar="FILE", help="write their indicators as a STIX 2.1 bundle")
    campaigns.add_argument("--smallest", type=_count, default=2, metavar="N", help="least messages of one (default: 2)")
    campaigns.add_argument("--top", type=_count, default=20, metavar="N", help="how many to show (default: 20)")
    report = commands.add_parser(
        "report",
        help="make the report of results",
        description="Make the report for a supervisor of results that ruthan scan wrote, one HTML file.",
    )
    report.add_argument("results", nargs="+", type=Path, metavar="RESULTS", help=f"{ENDINGS}; or a folder of .parquet")
    report.add_argument("--out", type=Path, required=True, metavar="FILE", help="the report, FILE.html")
    report.add_argument("--known", type=Path, metavar="FILE", help="campaigns of earlier runs, to join these with")
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


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 up")
    return int(text)


def _risk(text: str) -> float:
    try:
        risk = float(text)
    except ValueError:
        risk = -1.0
    if not 0 <= risk <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no risk from 0 to 1")
    return risk


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `ruthan` and return its exit code."""
    options = parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        return _carry_out(options)
    except RuthanError as error:
        from ruthan.batch.table import printable  # loads what draws tables

        print(f"ruthan: {printable(str(error))}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output has gone, as in `ruthan scan … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        goes_on = "; the same command goes on from here" if getattr(options, "out", None) else ""
        print(f"ruthan: stopped{goes_on if options.command == 'scan' else ''}", file=sys.stderr)
        return 130


def _carry_out(options: argparse.Namespace) -> int:
    # Loaded on use: `ruthan --help` should not wait for the model's runtime.
    if options.command == "explain":
        from ruthan.commands.explain import explain

        return explain(options)
    if options.command == "report":
        from ruthan.commands.report import report

        return report(options)
    if options.command == "campaigns":
        from ruthan.commands.campaigns import campaigns

        return campaigns(options)
    from ruthan.commands.scan import scan

    return scan(options)


if __name__ == "__main__":
    sys.exit(main())
