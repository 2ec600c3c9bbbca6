"""A row of a dump that holds no message that can be read."""

from dataclasses import dataclass

from ruthan.dumps.encoding import UNDECODABLE
from ruthan.message import Source


@dataclass(frozen=True)
class Unreadable:
    """Where it stands and why it cannot be read. Never holds the row itself."""

    source: Source
    reason: str


NOT_IN_ENCODING = "bytes that are not valid in the file's encoding; save the file as UTF-8"
TOO_LONG = "line of over 4,000,000 characters"


def undecodable(text: str) -> bool:
    """Whether some of the bytes behind `text` could not be decoded."""
    return UNDECODABLE in text
