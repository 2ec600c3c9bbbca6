"""`ruthan report`: the report for a supervisor, made of results."""

import argparse

from rich.text import Text

from ruthan.batch.campaign_file import read_campaigns
from ruthan.batch.campaigns import Campaigns
from ruthan.batch.report import ReportFacts, write_report
from ruthan.batch.stored import read_results
from ruthan.batch.summary import Summary
from ruthan.commands.console import output
from ruthan.errors import DumpError

FILES = 1_000  # that the report may name


def report(options: argparse.Namespace) -> int:
    """Carry out the command and return its exit code.

    :raises RuthanError: wrong usage, or a file that cannot be read or written.
    """
    if options.out.suffix.lower() not in (".html", ".htm"):
        raise DumpError(f"{options.out}: the report is a page; give a name that ends in .html")
    summary, gathered = Summary(), Campaigns(read_campaigns(options.known) if options.known else [])
    files: dict[str, None] = {}
    for path in options.results:
        for row in read_results(path):
            summary.add(row)
            gathered.add(row)
            if len(files) <= FILES:
                files.setdefault(row.get("source", {}).get("file", str(path)))
    facts = ReportFacts(files=tuple(files), results=", ".join(path.name for path in options.results))
    write_report(options.out, summary, gathered.found(seen_only=True), facts)
    output().print(Text(f"{summary.messages:,} messages, report: {options.out}"), soft_wrap=True)
    return 0
