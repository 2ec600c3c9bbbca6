"""`ruthan-serve feedback`: look at what reviewers said, and hand it on to training."""

import argparse
import json
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
from serve.commands.common import CommandError, count, moment, opened, settings_of, show
from serve.engine.answer import digest_of
from serve.storage import feedback
from serve.storage.feedback import Group, groups
from serve.storage.tables import Feedback
from serve.storage.texts import storable


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser of `ruthan-serve`."""
    parser = commands.add_parser("feedback", help="look at feedback, and hand it on to training")
    verbs = parser.add_subparsers(dest="verb", required=True)
    listed = verbs.add_parser("list", help="list feedback by near-duplicates")
    listed.add_argument("--conflicts", action="store_true", help="where reviewers disagree, who says what")
    listed.add_argument("--top", type=count, default=50, metavar="N", help="how many to show (default: 50)")
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
    conflicts = [group for group in found if group.conflict]
    if options.conflicts:
        lines = [line for group in conflicts[: options.top] for line in (*map(_opinion, group.rows), ())]
        show(("when", "message", "key", "reviewer", "verdict was", "should be", "comment"), lines[:-1])
    else:
        rows = [_line(group) for group in found[: options.top]]
        show(("newest", "message", "feedback", "messages", "verdict was", "should be"), rows)
    output().print(
        Text(f"{len(found):,} messages with their near-duplicates; reviewers disagree on {len(conflicts):,}")
    )
    return 0


def _opinion(row: Feedback) -> Sequence[Any]:
    label = row.label if row.kind is None else f"{row.label}, {row.kind}"
    said = row.given.get("label")
    return moment(row.created_at), row.message_id, row.owner, row.reviewer, said, label, row.comment


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
    records: list[dict[str, Any]] = []
    exported: list[Feedback] = []
    with opened(settings_of(options)) as database:
        with database.session() as session:
            found = groups(session, exported=options.all, since=options.since)
            rows = [row for group in found for row in group.rows]
            texts = feedback.texts_of(session, rows)
        texts |= _texts_in(options.texts, {row.message_id for row in rows} - texts.keys())
        for group in found:
            decided = group.decided(options.majority)
            named = next((row for row in group.rows if _learnable(texts.get(row.message_id, ""))), None)
            if decided is None or named is None:
                done["conflict" if decided is None else "no text"] += 1
                continue
            records.append(feedback.record(named, *decided, texts[named.message_id]))
            exported += group.rows
        if records:
            _write(options.out, records)
            with database.session() as session:
                feedback.mark_exported(session, exported)
    _summary(options.out, len(records), done)
    return 0


def _learnable(text: str) -> bool:
    """Whether the corpus takes a text of this length."""
    return bool(text.strip()) and len(text) <= feedback.LONGEST_TEXT


def _write(path: Path, records: Iterable[dict[str, Any]]) -> None:
    with replacing(path) as file:
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False).encode("utf-8") + b"\n")


def _summary(path: Path, exported: int, done: Counter[str]) -> None:
    console = output()
    where = f": {path}" if exported else ", and so no file"
    console.print(Text(f"{exported:,} labelled texts{where}"), soft_wrap=True)
    if done["conflict"]:
        console.print(
            Text(f"{done['conflict']:,} left out, reviewers disagree: ruthan-serve feedback list --conflicts")
        )
    if done["no text"]:
        console.print(Text(f"{done['no text']:,} left out, no text is kept: give dumps that hold them with --texts"))
    if exported:
        console.print(Text(f"next: python -m train.corpus add {path} --origin NAME"), soft_wrap=True)


def _texts_in(paths: Iterable[str], wanted: set[str]) -> dict[str, str]:
    """Texts of the dumps whose message is wanted, by its id."""
    found: dict[str, str] = {}
    for path in paths:
        for row in read_dump(path):
            if isinstance(row, Message) and (name := digest_of(row.text)[:16]) in wanted:
                found[name] = storable(row.text)
    return found
