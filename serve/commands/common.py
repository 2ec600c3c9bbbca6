"""What the commands share: the database of the settings, and tables on the terminal."""

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.table import Column, Table
from rich.text import Text

from ruthan.batch.table import printable
from ruthan.commands.console import output
from ruthan.errors import RuthanError
from serve.problems import Problem
from serve.settings import Settings, read_settings
from serve.storage import migrate
from serve.storage.database import Database

WHOLE = {"id", "key", "message"}  # columns that are of use only if nothing is cut off
LONGEST_SPAN = 100_000  # days, or hours: more than anybody means


class CommandError(RuthanError):
    """A command cannot be carried out."""


def settings_of(options: argparse.Namespace) -> Settings:
    """The settings of the environment, and of the file given.

    :raises SettingsError: a value cannot be used.
    """
    return read_settings(file=options.settings)


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The database of the settings, brought up to date unless they say otherwise.

    :raises RuthanError: it cannot be used.
    """
    database = Database(settings.database)
    try:
        if settings.migrate:
            migrate.upgrade(database)
        else:
            migrate.check(database)
        yield database
    except Problem as problem:
        raise CommandError(f"the database: {problem.detail}") from problem
    finally:
        database.close()


def count(text: str) -> int:
    """An argument that is a number from 0 up."""
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no number from 0 up")
    return int(text)


def span(text: str) -> float:
    """An argument that is a length of time, from 0 up, in whatever unit."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= LONGEST_SPAN:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no number from 0 to {LONGEST_SPAN:,}")
    return value


def show(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table; what comes from outside is text, and neither markup nor orders to the terminal."""
    table = Table(*(Column(name, no_wrap=name in WHOLE, overflow="fold") for name in columns), box=box.SIMPLE_HEAD)
    for row in rows:
        table.add_row(*(Text("" if cell is None else printable(str(cell))) for cell in row))
    output().print(table)


def moment(seconds: float | None) -> str:
    """A time as the tables show it, UTC."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
