"""What a dump's reader yields: messages, and what there is in a dump that is none."""

from dataclasses import dataclass

from ruthan.dumps.encoding import UNDECODABLE
from ruthan.message import Message, Source


@dataclass(frozen=True)
class Unreadable:
    """A row that could not be read: where it stands, and why. Never holds the row itself."""

    source: Source
    reason: str


@dataclass(frozen=True)
class Notice:
    """An entry that was read and holds no words of a sender: `what` is `system`, `sticker`, `photo`, `call` and the
    like. Nothing is lost with it.
    """

    source: Source
    what: str


Row = Message | Notice | Unreadable

NOT_IN_ENCODING = "bytes that are not valid in the file's encoding; save the file as UTF-8"
TOO_LONG = "line of over 4,000,000 characters"


def undecodable(text: str) -> bool:
    """Whether some of the bytes behind `text` could not be decoded."""
    return UNDECODABLE in text
