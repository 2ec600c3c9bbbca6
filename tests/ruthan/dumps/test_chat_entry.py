"""What the readers of chats exported as text share."""

import re

import pytest

from ruthan.dumps.chat_entry import STRETCH_LINES, ChatEntry, LineFeed, file_title, spoken, take_stretch, without_end
from ruthan.dumps.encoding import UNDECODABLE
from ruthan.dumps.lines import MAX_LINE, Line
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG
from ruthan.message import Source


def entry() -> ChatEntry:
    return ChatEntry(Source("a.txt", 3), "Korn", None)


def test_an_entry_joins_its_lines_without_the_empty_ones_at_the_end():
    found = entry()
    for line in ("ก", "", "ข", "", ""):
        found.add(line)
    assert found.text == "ก\n\nข"
    assert found.unreadable() is None


def test_an_entry_with_an_undecodable_byte_is_unreadable():
    found = entry()
    found.add("ก")
    found.add(f"ข{UNDECODABLE}")
    row = found.unreadable()
    assert row is not None
    assert (row.source.line, row.reason) == (3, NOT_IN_ENCODING)


@pytest.mark.parametrize(("length", "reason"), [(MAX_LINE - 1, None), (MAX_LINE, TOO_LONG)])
def test_an_entry_has_a_longest_length(length, reason):
    found = entry()
    found.add("ก" * (length - 2))
    found.add("ก")
    row = found.unreadable()
    assert (row and row.reason) == reason


def test_lines_put_back_come_next_in_their_order():
    one, two, three = (Line(number, "ก\n") for number in (1, 2, 3))
    feed = LineFeed([one, two, three])
    assert [feed.next(), feed.next()] == [one, two]
    feed.put_back([one, two])
    assert [feed.next(), feed.next(), feed.next(), feed.next()] == [one, two, three, None]


def test_a_stretch_is_bounded_in_lines_and_in_characters():
    lines = (Line(number, "ก\n") for number in range(STRETCH_LINES + 1))
    assert [len(take_stretch(lines)), len(take_stretch(lines)), len(take_stretch(lines))] == [STRETCH_LINES, 1, 0]
    long = (Line(number, "ก" * 1_000_000) for number in range(9))
    assert [len(take_stretch(long)) for _ in range(4)] == [4, 4, 1, 0]


@pytest.mark.parametrize(
    ("file", "title"),
    [
        ("a/b/Chat with Korn.txt", "Korn"),
        ("x.zip!Chat with Korn.txt", "Korn"),
        ("บ้าน.txt", "บ้าน"),
        ("-", None),
        ("", None),
    ],
)
def test_a_title_out_of_the_name_of_the_file(file, title):
    assert file_title(file, [re.compile("Chat with (.+)")]) == title


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Korn joined", False),
        ("https://example.com/a", True),
        ("โทร 081-000-5678", True),
        ("แอด @example", True),
        ("ก\nข", True),
        ("ก" * 301, True),
    ],
)
def test_a_text_with_a_link_an_account_or_a_number_is_spoken(text, expected):
    assert spoken(text) is expected


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\r"])
def test_a_line_comes_without_its_end(end):
    assert without_end(Line(1, f"ก {end}")) == "ก "


def test_hostile_text_is_kept_in_an_entry(hostile):
    found = entry()
    found.add(hostile)
    assert found.unreadable() is not None or found.text == hostile.rstrip("\n")
    assert isinstance(spoken(hostile), bool)
