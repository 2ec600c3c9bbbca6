"""`ruthan-serve feedback`: look at what reviewers said, and hand it on to training."""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.text import Text

from ruthan.batch.results import replacing
from ruthan.commands.console import output
from ruthan.dumps.reading import read_dump
from ruthan.message import Message
from serve.commands.common import CommandError, moment, opened, settings_of, show
from serve.engine.answer import digest_of
from serve.storage import feedback
from serve.storage.feedback import Group, groups


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser of `ruthan-serve`."""
    parser = commands.add_parser("feedback", help="look at feedback, and hand it on to training")
    verbs = parser.add_subparsers(dest="verb", required=True)
    listed = verbs.add_parser("list", help="list feedback by near-duplicates")
    listed.add_argument("--conflicts", action="store_true", help="only where reviewers disagree")
    listed.add_argument("--top", type=int, default=50, help="how many (default: 50)")
    listed.set_defaults(run=_list)
    export = verbs.add_parser("export", help="write labelled texts for python -m train.corpus add")
    export.add_argument("out", type=Path, help="a .jsonl file that is not there yet")
    export.add_argument("--texts", nargs="+", default=[], metavar="PATH", help="dumps that hold texts not kept here")
    export.add_argument(
        "--majority", action="store_true", help="where reviewers disagree, go by more than half of them"
    )
    export.set_defaults(run=_export)
    for each in (listed, export):
        each.add_argument("--all", action="store_true", help="what was exported before, too")
        each.add_argument("--since", type=_day, default=0.0, metavar="YYYY-MM-DD", help="only what came since")


def _day(value: str) -> float:
    return datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()


def _list(options: argparse.Namespace) -> int:
    with opened(settings_of(options)) as database, database.session() as session:
        found = groups(session, exported=options.all, since=options.since)
        conflicts = sum(group.conflict for group in found)
        wanted = [group for group in found if group.conflict or not options.conflicts]
        rows = [_line(group) for group in wanted[: options.top]]
    show(("newest", "message", "feedback", "messages", "said", "is"), rows)
    output().print(Text(f"{len(found):,} messages with their near-duplicates; reviewers disagree on {conflicts:,}"))
    return 0


def _line(group: Group) -> Sequence[Any]:
    newest = group.rows[0]
    said = Counter(str(row.given.get("label", "?")) for row in group.rows)
    return (
        moment(newest.created_at),
        newest.message_id,
        len(group.rows),
        len({row.message_id for row in group.rows}),
        ", ".join(f"{label} {count}" for label, count in said.most_common()),
        ", ".join(f"{label} {count}" for (label, _), count in group.labels.most_common())
        + ("  (conflict)" if group.conflict else ""),
    )


def _export(options: argparse.Namespace) -> int:
    if options.out.suffix != ".jsonl":
        raise CommandError(f"{options.out}: the name has to end in .jsonl")
    if options.out.exists():
        raise CommandError(f"{options.out} is there already, and may hold what was exported before; give another name")
    done: Counter[str] = Counter()
    with opened(settings_of(options)) as database, database.session() as session:
        found = groups(session, exported=options.all, since=options.since)
        texts = feedback.texts_of(session, [row for group in found for row in group.rows])
        missing = {row.message_id for group in found for row in group.rows} - texts.keys()
        texts |= _texts_in(options.texts, missing)
        with replacing(options.out) as file:
            for group in found:
                decided = group.decided(options.majority)
                named = next((row for row in group.rows if row.message_id in texts), None)
                if decided is None or named is None:
                    done["conflict" if decided is None else "no text"] += 1
                    continue
                record = feedback.record(named, *decided, texts[named.message_id])
                file.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
                done["exported"] += 1
                for row in group.rows:
                    row.exported_at = time.time()
    console = output()
    console.print(Text(f"{done['exported']:,} labelled texts: {options.out}"), soft_wrap=True)
    if done["conflict"]:
        console.print(
            Text(f"{done['conflict']:,} left out, reviewers disagree: ruthan-serve feedback list --conflicts")
        )
    if done["no text"]:
        console.print(Text(f"{done['no text']:,} left out, no text is kept: give dumps that hold them with --texts"))
    console.print(Text(f"next: python -m train.corpus add {options.out} --origin NAME"), soft_wrap=True)
    return 0


def _texts_in(paths: Iterable[str], wanted: set[str]) -> dict[str, str]:
    """Texts of the dumps whose message is wanted, by its id."""
    found: dict[str, str] = {}
    for path in paths:
        for row in read_dump(path):
            if isinstance(row, Message) and (name := digest_of(row.text)[:16]) in wanted:
                found[name] = row.text
    return found
