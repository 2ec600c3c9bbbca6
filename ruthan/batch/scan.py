"""Scan whole dumps: messages of many files in, pairs of message and verdict out, in order and in constant memory."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from ruthan.dumps.reading import read_dump
from ruthan.dumps.unreadable import Unreadable
from ruthan.message import Message
from ruthan.scanner import Scanner
from ruthan.verdict import Verdict


def scan_dumps(
    scanner: Scanner, paths: Iterable[str], column: str | None, on_unreadable: Callable[[Unreadable], None]
) -> Iterator[tuple[Message, Verdict]]:
    """Every readable message of the dumps with its verdict, in input order.

    Rows that hold no readable message go to `on_unreadable`, so that each row ends in exactly one of the two.

    :raises DumpError: a file cannot be read, or has no such column.
    """
    ahead: deque[Message] = deque()  # read by the scanner, verdict not yet out: at most one of its batches

    def messages() -> Iterator[Message]:
        for path in paths:
            for row in read_dump(path, column):
                if isinstance(row, Unreadable):
                    on_unreadable(row)
                else:
                    ahead.append(row)
                    yield row

    for verdict in scanner.scan_many(messages()):
        yield ahead.popleft(), verdict
