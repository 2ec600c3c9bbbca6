"""`ruthan campaigns`: which messages of results belong together."""

import argparse

from rich.text import Text

from ruthan.batch.campaign_file import read_campaigns, write_campaigns
from ruthan.batch.campaigns import Campaign, Campaigns
from ruthan.batch.indicator_lists import write_indicator_csv, write_stix
from ruthan.batch.stored import read_results
from ruthan.batch.table import printable
from ruthan.commands.console import output
from ruthan.errors import DumpError
from ruthan.taxonomy import default_taxonomy

LISTED = 3  # indicators of a campaign that are printed


def campaigns(options: argparse.Namespace) -> int:
    """Carry out the command and return its exit code.

    :raises RuthanError: wrong usage, or a file that cannot be read or written.
    """
    for path in (options.out, options.csv, options.stix):
        if path and any(path.exists() and path.samefile(each) for each in options.results if each.exists()):
            raise DumpError(f"{path} is one of the results to read; write to another file")
    if options.known and options.out and options.out.exists() and options.known.samefile(options.out):
        raise DumpError(f"--known and --out are both {options.out}; a second time would count its messages again")
    gathered = Campaigns(read_campaigns(options.known) if options.known else [])
    for path in options.results:
        for row in read_results(path):
            gathered.add(row)
    found = gathered.found(options.smallest, seen_only=True)
    console = output()
    for each in found[: options.top]:
        console.print(Text(_line(each)), no_wrap=True, overflow="ellipsis")
    messages = sum(each.messages for each in found)
    console.print(Text(f"{len(found):,} campaigns of {messages:,} messages"))
    if options.out:
        write_campaigns(options.out, gathered.found(smallest=1))  # a single message may be a beginning
    if options.csv:
        write_indicator_csv(options.csv, found)
    if options.stix:
        write_stix(options.stix, found)
    for path in filter(None, (options.out, options.csv, options.stix)):
        console.print(Text(f"written: {path}"), soft_wrap=True)
    return 0


def _line(campaign: Campaign) -> str:
    name = default_taxonomy()[campaign.label].thai if campaign.label in default_taxonomy().labels else ""
    when = " – ".join(dict.fromkeys(day[:10] for day in (campaign.first_seen, campaign.last_seen) if day))
    listed = ", ".join(printable(f"{each.type} {each.value}") for each in campaign.indicators[:LISTED])
    parts = [f"{campaign.id}  {campaign.messages:7,}  {campaign.label} {name}", when, listed]
    return "  ".join(part for part in parts if part)
