"""Invented dumps in every format, each read back as it was written."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.dump_entries import Entry, entries
from benchmarks.dump_formats import CHANNEL_OF, FORMS, NAMES, one_line, write_dump
from ruthan.dumps.reading import read_dump
from ruthan.dumps.rows import Notice, Unreadable
from ruthan.message import Message

TO_THE_MINUTE = {form for form in FORMS if form.startswith(("line", "whatsapp-android"))}
# Nothing marks where a sender's name ends there: it is learnt, which a name seen once or twice does not allow.
LEARNT = ("line-spaces", "line-spaces-english")
# A row of a table is a message whatever its text: pictures stand there as rows with an empty one.
EMPTY = ("discord-csv", "ios-csv")


def dump(folder: Path, form: str, ending: str = "") -> tuple[Path, list[Entry], int]:
    """A dump, its messages in the order in which they stand there, and how many notices."""
    made = list(entries(300, 7, 0.5, CHANNEL_OF[form]))
    path = folder / (NAMES[form] + ending)
    written = write_dump(path, form, made)
    assert written.messages == 300
    messages = [entry for entry in made if entry.notice is None]
    if form == "facebook":
        messages.reverse()
    if form == "telegram-account":
        chats = list(dict.fromkeys(entry.thread for entry in made))
        messages.sort(key=lambda entry: chats.index(entry.thread))
    return path, messages, written.notices


def check(form: str, rows: Sequence[Message | Notice | Unreadable], messages: Sequence[Entry], notices: int) -> None:
    assert [row for row in rows if isinstance(row, Unreadable)] == []
    assert len(rows) == len(messages) + notices
    read = [row.text for row in told(form, rows)]
    written = [one_line(entry.text) if form == "text" else entry.text for entry in messages]
    if form in LEARNT:
        assert sum(one == other for one, other in zip(read, written, strict=True)) >= 0.98 * len(written)
    else:
        assert read == written


def told(form: str, rows: Sequence[Message | Notice | Unreadable]) -> list[Message]:
    """The messages with words."""
    return [row for row in rows if isinstance(row, Message) and (row.text or form not in EMPTY)]


@pytest.mark.parametrize("form", FORMS)
def test_a_dump_is_read_as_it_was_written(form: str, tmp_path: Path) -> None:
    path, messages, notices = dump(tmp_path, form)
    rows = list(read_dump(str(path)))
    check(form, rows, messages, notices)
    read = told(form, rows)
    if form in LEARNT:
        senders = [row.sender == entry.sender for row, entry in zip(read, messages, strict=True)]
        assert sum(senders) >= 0.98 * len(senders)
    elif form != "text":
        assert [row.sender for row in read] == [entry.sender for entry in messages]
    if form != "text":
        length = len("2026-01-05T06:00") if form in TO_THE_MINUTE else None
        times = [(row.sent_at or "")[:length] for row in read]
        assert times == [entry.sent_at.isoformat()[:length] for entry in messages]


@pytest.mark.parametrize("ending", [".gz", ".zst", ".zip"])
@pytest.mark.parametrize("form", FORMS)
def test_a_compressed_dump_is_read_as_it_was_written(form: str, ending: str, tmp_path: Path) -> None:
    path, messages, notices = dump(tmp_path, form, ending)
    check(form, list(read_dump(str(path))), messages, notices)
