"""Plain text: one message a line. Blank lines separate and are no messages."""

from collections.abc import Iterator
from typing import TextIO

from ruthan.dumps.lines import numbered_lines
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG, Unreadable, undecodable
from ruthan.message import Message, Source


def read_plain(stream: TextIO, file: str) -> Iterator[Message | Unreadable]:
    """One message, or one unreadable row, for each line that is not blank."""
    for line in numbered_lines(stream):
        source = Source(file, line.number)
        text = line.text.rstrip("\r\n")
        if line.too_long:
            yield Unreadable(source, TOO_LONG)
        elif undecodable(text):
            yield Unreadable(source, NOT_IN_ENCODING)
        elif text.strip():
            yield Message(text, source=source)
