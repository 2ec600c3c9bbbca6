"""CSV and TSV: the message in one column, found by its name or, without a header, by its length."""

import csv
from collections import Counter, deque
from collections.abc import Iterator
from itertools import chain, islice
from typing import TextIO

from ruthan.dumps.columns import Layout, find_layout, row_message
from ruthan.dumps.lines import Line, numbered_lines
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG, Unreadable, undecodable
from ruthan.message import Message, Source

MAX_ROW_LINES = 2_000  # a quote that is never closed must not swallow the rest of the file
MAX_ROW_LINES_AGAIN = 60  # of lines that were part of such a row already, or a file of open quotes would take for ever
SAMPLE_ROWS = 100
DELIMITERS = ",;\t|"

csv.field_size_limit(64_000_000)  # characters; the default of 131,072 would refuse long messages


def read_delimited(
    stream: TextIO, file: str, column: str | None = None, delimiter: str | None = None
) -> Iterator[Message | Unreadable]:
    """One message, or one unreadable row, for each row that is not blank.

    `column` is the name of the text column, or its number from 1; without it the column is found. So is the
    `delimiter`.

    :raises DumpError: the column does not exist.
    """
    lines = numbered_lines(stream)
    head = list(islice(lines, SAMPLE_ROWS))
    delimiter = delimiter or _find_delimiter(head)
    rows = _rows(chain(head, lines), delimiter)
    sample = list(islice(rows, SAMPLE_ROWS))
    layout = find_layout([cells for _, cells in sample if isinstance(cells, list)], file, column)
    header_pending = layout.has_header
    for number, cells in chain(sample, rows):
        source = Source(file, number)
        if isinstance(cells, str):
            yield Unreadable(source, cells)
        elif not any(cell.strip() for cell in cells):
            continue
        elif header_pending:
            header_pending = False
        elif undecodable("".join(cells)):
            yield Unreadable(source, NOT_IN_ENCODING)
        else:
            yield _message(cells, source, layout, delimiter)


# A row is its cells, or the reason why there are none; with the number of the line at which it begins.
_Row = tuple[int, list[str] | str]


def _rows(lines: Iterator[Line], delimiter: str) -> Iterator[_Row]:
    """Rows of cells. Where quoting goes wrong, the row's first line is given up and reading resumes at the next."""
    waiting: deque[Line] = deque()
    swallowed = 0  # the last line that a quote without end took

    def next_line() -> Line | None:
        return waiting.popleft() if waiting else next(lines, None)

    while (first := next_line()) is not None:
        if first.too_long:
            yield first.number, TOO_LONG
            continue
        taken = [first]
        most = MAX_ROW_LINES_AGAIN if first.number <= swallowed else MAX_ROW_LINES

        def feed(taken: list[Line] = taken, most: int = most) -> Iterator[str]:
            yield taken[0].text
            while len(taken) < most and (line := next_line()) is not None:
                taken.append(line)
                yield line.text

        try:
            cells = next(csv.reader(feed(), delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            swallowed = max(swallowed, taken[-1].number)
            waiting.extendleft(reversed(taken[1:]))
            yield first.number, f"broken quoting: {error}"
        else:
            yield first.number, cells


def _message(cells: list[str], source: Source, layout: Layout, delimiter: str) -> Message | Unreadable:
    width = layout.width
    if len(cells) > width and layout.text == width - 1:
        # Unquoted delimiters inside the last column belong to its text.
        cells = [*cells[: width - 1], delimiter.join(cells[width - 1 :])]
    return row_message(cells, source, layout)


def _find_delimiter(head: list[Line]) -> str:
    """The delimiter that divides the most sample rows into the same number of columns, two or more."""

    def fit(delimiter: str) -> int:
        widths = Counter(len(cells) for _, cells in _rows(iter(head), delimiter) if isinstance(cells, list) and cells)
        return max((count for width, count in widths.items() if width > 1), default=0)

    best = max(DELIMITERS, key=fit)
    return best if fit(best) else DELIMITERS[0]
