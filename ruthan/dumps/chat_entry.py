"""What the readers of chats exported as text share: an entry while it grows, lines that can be put back, and titles.

The readers look at a first stretch of a file before they read it; its size is bounded, and so is an entry's.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ruthan.dumps.lines import MAX_LINE, Line
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG, Unreadable, undecodable
from ruthan.message import Source

STRETCH_LINES = 5_000
SENTENCE = 300  # characters; no text that a program writes itself is longer
_STRETCH_CHARACTERS = 4_000_000  # of a stretch, besides its last line

_HOLDS_LEAD = re.compile(r"://|www\.|\.[a-z]{2,6}/|@[a-z0-9._-]{3}|\d[\d -]{7,}\d", re.I)


@dataclass
class ChatEntry:
    """An entry of a chat's export while it is being read. Keeps at most `MAX_LINE` characters."""

    source: Source
    sender: str | None
    sent_at: str | None
    damaged: bool = False
    _parts: list[str] = field(default_factory=list)
    _length: int = -1  # the first line has no line end before it
    _too_long: bool = False

    def add(self, text: str) -> None:
        """One more line of the text, without its end."""
        self.damaged = self.damaged or undecodable(text)
        self._length += len(text) + 1
        if self._length >= MAX_LINE:
            self._too_long = True
            self._parts.clear()
        elif not self._too_long:
            self._parts.append(text)

    @property
    def text(self) -> str:
        """The lines so far, without the empty ones at the end."""
        return "\n".join(self._parts).rstrip("\n")

    def unreadable(self) -> Unreadable | None:
        """The row of an entry that cannot be read, None for one that can."""
        if self._too_long:
            return Unreadable(self.source, TOO_LONG)
        return Unreadable(self.source, NOT_IN_ENCODING) if self.damaged else None


class LineFeed:
    """The lines of a file, of which some can be put back."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self._lines = iter(lines)
        self._waiting: deque[Line] = deque()

    def next(self) -> Line | None:
        """The next line, None at the end."""
        return self._waiting.popleft() if self._waiting else next(self._lines, None)

    def put_back(self, lines: list[Line]) -> None:
        """Let the next lines be these."""
        self._waiting.extendleft(reversed(lines))


def take_stretch(lines: Iterator[Line]) -> list[Line]:
    """The next `STRETCH_LINES` lines, or fewer if they are long; none at the end of the file."""
    taken: list[Line] = []
    characters = 0
    while len(taken) < STRETCH_LINES and characters < _STRETCH_CHARACTERS and (line := next(lines, None)) is not None:
        taken.append(line)
        characters += len(line.text)
    return taken


def file_title(file: str, titles: Iterable[re.Pattern[str]]) -> str | None:
    """The chat's name out of the name of its export, None if that says nothing (standard input)."""
    name = re.split(r"[/\\!]", file)[-1]
    stem = name[: name.rfind(".")] if "." in name[1:] else name
    if stem in ("", "-"):
        return None
    for title in titles:
        if (found := title.fullmatch(stem)) and (name := found[1].strip()):
            stem = name
    return stem


def spoken(text: str) -> bool:
    """Whether a text without a sender is more than a program's note: it holds a link, an account or a number to call,
    spans several lines, or is long. It is then scanned rather than passed over.
    """
    return "\n" in text or len(text) > SENTENCE or _HOLDS_LEAD.search(text) is not None


def without_end(line: Line) -> str:
    """A line's text without the line end."""
    return line.text.removesuffix("\n").removesuffix("\r")
