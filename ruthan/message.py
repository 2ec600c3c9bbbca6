"""A message as received, with what is known about where it came from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """Where in a dump a message stands: the file as named by the user, what is inside of an archive behind a `!`; and
    the line, from 1, at which it begins. In what has no lines, such as a JSON document, a sheet or a mailbox, `line` is
    the number of the entry.
    """

    file: str
    line: int


@dataclass(frozen=True)
class Message:
    """One message. Only `text` is needed; `sent_at` is kept as the dump writes it."""

    text: str
    channel: str | None = None
    sender: str | None = None
    sent_at: str | None = None
    thread: str | None = None
    source: Source | None = None
