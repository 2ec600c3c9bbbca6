"""`ruthan-serve database`: bring the database up to date, or see whether it is."""

import argparse

from rich.text import Text

from ruthan.commands.console import output
from serve.commands.common import settings_of
from serve.storage import migrate
from serve.storage.database import Database


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser of `ruthan-serve`."""
    parser = commands.add_parser("database", help="bring the database up to date, or see whether it is")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("upgrade", help="bring it up to date").set_defaults(run=_run, step=migrate.upgrade)
    verbs.add_parser("check", help="see whether it is").set_defaults(run=_run, step=migrate.check)


def _run(options: argparse.Namespace) -> int:
    database = Database(settings_of(options).database)
    try:
        options.step(database)
    finally:
        database.close()
    output().print(Text("the database is up to date"))
    return 0
