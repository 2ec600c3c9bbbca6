"""`ruthan-serve texts`: erase what is kept of messages."""

import argparse
import re

from rich.text import Text

from ruthan.commands.console import output
from serve.commands.common import CommandError, opened, settings_of
from serve.storage.texts import TextStore
from serve.telemetry.metrics import Metrics

_NAME = re.compile(r"[0-9a-f]{16}|[0-9a-f]{64}")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser of `ruthan-serve`."""
    parser = commands.add_parser("texts", help="erase texts that are kept")
    verbs = parser.add_subparsers(dest="verb", required=True)
    erase = verbs.add_parser("erase", help="erase messages wherever they are kept")
    erase.add_argument("digests", nargs="+", metavar="DIGEST", help="SHA-256 of the text, or the id of the message")
    erase.set_defaults(run=_erase)
    verbs.add_parser("sweep", help="erase what is past its days; the service does so every hour").set_defaults(
        run=_sweep
    )


def _erase(options: argparse.Namespace) -> int:
    if wrong := [each for each in options.digests if not _NAME.fullmatch(each)]:
        raise CommandError(f"{wrong[0][:80]!r} is no SHA-256 in 64 hexadecimal digits, and no id of a message in 16")
    settings = settings_of(options)
    with opened(settings) as database:
        store = TextStore(settings, database, Metrics())
        gone = sum(store.erase(each) for each in options.digests)
    output().print(Text(f"erased {gone:,} texts; services that run forget them within cache_seconds"))
    return 0


def _sweep(options: argparse.Namespace) -> int:
    settings = settings_of(options)
    with opened(settings) as database:
        gone = TextStore(settings, database, Metrics()).sweep()
    output().print(Text(f"erased {gone:,} texts that were past their {settings.retention_days} days"))
    return 0
