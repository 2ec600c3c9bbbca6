"""The lines of a text stream, numbered, with a bound on their length."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

MAX_LINE = 4_000_000  # characters; longer ones are reported, not kept in memory


@dataclass(frozen=True)
class Line:
    """One line with its end, numbered from 1. `too_long` lines are cut at `MAX_LINE`."""

    number: int
    text: str
    too_long: bool = False


def numbered_lines(stream: TextIO) -> Iterator[Line]:
    """The lines of `stream`, ended by LF, CR LF or CR and by nothing else."""
    number = 0
    while text := stream.readline(MAX_LINE):
        number += 1
        too_long = len(text) == MAX_LINE and not text.endswith(("\n", "\r"))
        if too_long:
            while (rest := stream.readline(MAX_LINE)) and not rest.endswith(("\n", "\r")):
                pass
        yield Line(number, text, too_long)
