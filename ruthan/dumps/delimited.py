"""CSV and TSV: the message in one column, found by its name or, without a header, by its length."""

import csv
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import TextIO

from ruthan.dumps.lines import Line, numbered_lines
from ruthan.dumps.unreadable import NOT_IN_ENCODING, TOO_LONG, Unreadable, undecodable
from ruthan.errors import DumpError
from ruthan.message import Message, Source

MAX_ROW_LINES = 2_000  # a quote that is never closed must not swallow the rest of the file
SAMPLE_ROWS = 100
DELIMITERS = ",;\t|"

# Column names that mean "the message", the likelier first; compared without case, blanks and underscores.
TEXT_NAMES = (
    "text",
    "message",
    "messagetext",
    "body",
    "content",
    "msg",
    "sms",
    "ข้อความ",
    "เนื้อหา",
    "เนื้อความ",
    "รายละเอียด",
)
_OTHER_NAMES = {
    "channel": ("channel", "ช่องทาง"),
    "sender": ("sender", "from", "address", "ผู้ส่ง", "จาก"),
    "sent_at": ("sentat", "date", "time", "datetime", "timestamp", "วันที่", "เวลา", "วันเวลา"),
    "thread": ("thread", "threadid", "chat", "conversation", "ห้อง"),
}

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
    layout = _find_layout([cells for _, cells in sample if isinstance(cells, list)], file, column, delimiter)
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
            yield _message(cells, source, layout)


# A row is its cells, or the reason why there are none; with the number of the line at which it begins.
_Row = tuple[int, list[str] | str]


def _rows(lines: Iterator[Line], delimiter: str) -> Iterator[_Row]:
    """Rows of cells. Where quoting goes wrong, the row's first line is given up and reading resumes at the next."""
    waiting: deque[Line] = deque()

    def next_line() -> Line | None:
        return waiting.popleft() if waiting else next(lines, None)

    while (first := next_line()) is not None:
        if first.too_long:
            yield first.number, TOO_LONG
            continue
        taken = [first]

        def feed(taken: list[Line] = taken) -> Iterator[str]:
            yield taken[0].text
            while len(taken) < MAX_ROW_LINES and (line := next_line()) is not None:
                taken.append(line)
                yield line.text

        try:
            cells = next(csv.reader(feed(), delimiter=delimiter, strict=True), [])
        except csv.Error as error:
            waiting.extendleft(reversed(taken[1:]))
            yield first.number, f"broken quoting: {error}"
        else:
            yield first.number, cells


def _message(cells: list[str], source: Source, layout: "_Layout") -> Message | Unreadable:
    width = layout.width
    if len(cells) > width and layout.text == width - 1:
        # Unquoted delimiters inside the last column belong to its text.
        cells = [*cells[: width - 1], layout.delimiter.join(cells[width - 1 :])]
    if len(cells) > width:
        return Unreadable(source, f"{len(cells)} columns where {width} are expected; is a quote missing?")
    if len(cells) <= layout.text:
        return Unreadable(source, f"{len(cells)} columns, but the text is in column {layout.text + 1}")
    others = {name: cells[index] for name, index in layout.others.items() if index < len(cells) and cells[index]}
    return Message(cells[layout.text], source=source, **others)


@dataclass(frozen=True)
class _Layout:
    """Which column holds what, counted from 0, and whether the first row names them."""

    has_header: bool
    width: int
    text: int
    others: dict[str, int]
    delimiter: str


def _find_delimiter(head: list[Line]) -> str:
    """The delimiter that divides the most sample rows into the same number of columns, two or more."""

    def fit(delimiter: str) -> int:
        widths = Counter(len(cells) for _, cells in _rows(iter(head), delimiter) if isinstance(cells, list) and cells)
        return max((count for width, count in widths.items() if width > 1), default=0)

    best = max(DELIMITERS, key=fit)
    return best if fit(best) else DELIMITERS[0]


def _name(cell: str) -> str:
    return re.sub(r"[\s_\ufeff-]", "", cell).casefold()


def _find_layout(sample: list[list[str]], file: str, column: str | None, delimiter: str) -> _Layout:
    rows = [cells for cells in sample if any(cell.strip() for cell in cells)]
    if not rows:
        return _Layout(False, 1, 0, {}, delimiter)
    names = [_name(cell) for cell in rows[0]]
    text = next((names.index(name) for name in TEXT_NAMES if name in names), None)
    others = {
        field: names.index(name)
        for field, candidates in reversed(_OTHER_NAMES.items())
        for name in reversed(candidates)
        if name in names
    }
    has_header = text is not None or len(others) > 1
    if column is not None and column.isdigit() and column not in rows[0]:
        text = int(column) - 1
    elif column is not None:
        has_header = True
        text = names.index(_name(column)) if _name(column) in names else -1
    width = len(rows[0]) if has_header else Counter(map(len, rows)).most_common(1)[0][0]
    if text is None:
        body = [cells for cells in rows[has_header:] if len(cells) == width] or rows
        text = max(range(width), key=lambda index: sum(len(cells[index]) for cells in body if index < len(cells)))
    if not 0 <= text < width:
        raise DumpError(f"{file}: no column {column!r}; its columns are: {', '.join(map(repr, rows[0]))[:200]}")
    others = {field: index for field, index in others.items() if index != text}
    return _Layout(has_header, width, text, others, delimiter)
