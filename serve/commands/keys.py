"""`ruthan-serve keys`: make, list, exchange and take back API keys."""

import argparse
import time

from rich.text import Text

from ruthan.commands.console import errors, output
from serve.commands.common import count, moment, opened, settings_of, show, span
from serve.storage import keys
from serve.storage.keys import SCOPES

DAY, HOUR = 86_400.0, 3_600.0


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser of `ruthan-serve`."""
    parser = commands.add_parser("keys", help="make, list, exchange and take back API keys")
    verbs = parser.add_subparsers(dest="verb", required=True)
    create = verbs.add_parser("create", help="make a key, which is shown once")
    create.add_argument("name", help="whose it is, for the list of keys")
    create.add_argument("--scope", action="append", default=[], metavar="SCOPE", help=f"one of {', '.join(SCOPES)}")
    create.add_argument("--rate", type=count, help="messages a minute (default: the setting rate_per_key); 0 for any")
    create.add_argument("--expires", type=span, metavar="DAYS", help="days for which it is good (default: for ever)")
    create.set_defaults(run=_create)
    verbs.add_parser("list", help="list all keys").set_defaults(run=_list)
    rotate = verbs.add_parser("rotate", help="make a key in place of another, which goes on for a time")
    rotate.add_argument("id")
    rotate.add_argument("--grace", type=span, default=24.0, metavar="HOURS", help="for the old one (default: 24)")
    rotate.set_defaults(run=_rotate)
    revoke = verbs.add_parser("revoke", help="take a key back, within seconds")
    revoke.add_argument("id")
    revoke.set_defaults(run=_revoke)


def _create(options: argparse.Namespace) -> int:
    expires = None if options.expires is None else time.time() + options.expires * DAY
    with opened(settings_of(options)) as database, database.session() as session:
        row, key = keys.create(session, options.name, options.scope, options.rate, expires)
        session.flush()
        number = row.id
    _hand_over(number, key)
    return 0


def _rotate(options: argparse.Namespace) -> int:
    with opened(settings_of(options)) as database, database.session() as session:
        row, key = keys.rotate(session, options.id, options.grace * HOUR)
        session.flush()
        number = row.id
    _hand_over(number, key)
    errors().print(Text(f"the old one, {options.id}, goes on for {options.grace:g} hours"))
    return 0


def _hand_over(number: str, key: str) -> None:
    """The key alone on standard output, so that it can be piped to where it is kept."""
    output().print(Text(key), soft_wrap=True)
    errors().print(Text(f"key {number}; it is not shown again, and not kept: only its digest is"))


def _list(options: argparse.Namespace) -> int:
    with opened(settings_of(options)) as database, database.session() as session:
        rows = [
            (
                key.id,
                key.name,
                key.scopes,
                key.rate,
                moment(key.created_at),
                moment(key.expires_at),
                "revoked" if key.revoked_at else "good" if keys.valid(key) else "expired",
            )
            for key in keys.every(session)
        ]
    show(("id", "name", "scopes", "a minute", "made", "ends", "state"), rows)
    return 0


def _revoke(options: argparse.Namespace) -> int:
    with opened(settings_of(options)) as database, database.session() as session:
        name = keys.revoke(session, options.id).name
    output().print(Text(f"key {options.id} ({name}) opens nothing any more, at the latest in 5 seconds"))
    return 0
