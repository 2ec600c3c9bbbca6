"""Which column of a table holds what: by the names in its first row, else by the length of what stands below."""

import re
from collections import Counter
from dataclasses import dataclass

from ruthan.dumps.dates import DateOrder, time_as_iso
from ruthan.dumps.rows import Unreadable
from ruthan.errors import DumpError
from ruthan.message import Message, Source

# Column names that mean "the message", the likelier first; compared without case, blanks and underscores.
TEXT_NAMES = (
    "text",
    "message",
    "messagetext",
    "body",
    "content",
    "contents",
    "msg",
    "sms",
    "ข้อความ",
    "เนื้อหา",
    "เนื้อความ",
    "รายละเอียด",
)
# What else is kept, by the fields of a message; of several such columns the first name here is taken.
OTHER_NAMES = {
    "channel": ("channel", "service", "platform", "ช่องทาง"),
    "sender": (
        "sender",
        "from",
        "address",
        "senderid",
        "sendername",
        "author",
        "authorid",
        "phonenumber",
        "phone",
        "msisdn",
        "ผู้ส่ง",
        "ชื่อผู้ส่ง",
        "จาก",
        "เบอร์โทร",
        "หมายเลข",
    ),
    "sent_at": (
        "sentat",
        "date",
        "time",
        "datetime",
        "timestamp",
        "messagedate",
        "sentdate",
        "datesent",
        "createdat",
        "receivedat",
        "วันที่",
        "เวลา",
        "วันเวลา",
    ),
    "thread": ("thread", "threadid", "chat", "chatsession", "conversation", "conversationid", "ห้อง"),
}


@dataclass(frozen=True)
class Layout:
    """Which column holds what, counted from 0, whether the first row names them, and whether the month comes first in
    its times.
    """

    has_header: bool
    width: int
    text: int
    others: dict[str, int]
    month_first: bool = False


def plain_name(name: str) -> str:
    """A column's name as the tables of names have it: without case, blanks, hyphens and underscores."""
    return re.sub(r"[\s_\ufeff-]", "", name).casefold()


def named_columns(header: list[str]) -> tuple[int | None, dict[str, int]]:
    """The columns that a header names, from 0: that of the text, or None, and those of the other fields."""
    names = [plain_name(cell) for cell in header]
    text = next((names.index(name) for name in TEXT_NAMES if name in names), None)
    others = {
        field: names.index(name)
        for field, candidates in reversed(OTHER_NAMES.items())
        for name in reversed(candidates)
        if name in names
    }
    return text, others


def find_layout(sample: list[list[str]], file: str, column: str | None) -> Layout:
    """The layout of a table, judged by its first rows.

    `column` is the name of the text column, or its number from 1; without it the column is found.

    :raises DumpError: the column does not exist.
    """
    rows = [cells for cells in sample if any(cell.strip() for cell in cells)]
    if not rows:
        return Layout(False, 1, 0, {})
    named, others = named_columns(rows[0])
    text = named
    has_header = named is not None or len(others) > 1
    if column is not None and column.isdecimal() and column not in rows[0]:
        text = int(column) - 1
    elif column is not None:
        has_header = True
        names = [plain_name(cell) for cell in rows[0]]
        text = names.index(plain_name(column)) if plain_name(column) in names else -1
    width = len(rows[0]) if has_header else Counter(map(len, rows)).most_common(1)[0][0]
    if text is None:
        body = [cells for cells in rows[has_header:] if len(cells) == width] or rows
        text = max(range(width), key=lambda index: sum(len(cells[index]) for cells in body if index < len(cells)))
    if not 0 <= text < width:
        # A first row without a known name may be a message, which no error may quote.
        listed = f"its columns are: {', '.join(map(repr, rows[0]))[:200]}" if named is not None or others else ""
        raise DumpError(f"{file}: no column {column!r}; {listed or f'give its number, from 1 to {width}'}")
    others = {field: index for field, index in others.items() if index != text}
    order = DateOrder()
    if "sent_at" in others:
        times = [cells[others["sent_at"]] for cells in rows[has_header:] if len(cells) > others["sent_at"]]
        order.learn(time.strip().partition(" ")[0].rstrip(",") for time in times)
    return Layout(has_header, width, text, others, order.month_first)


def row_message(cells: list[str], source: Source, layout: Layout) -> Message | Unreadable:
    """The message in a row of cells, which may lack some of the last ones."""
    if len(cells) > layout.width:
        return Unreadable(source, f"{len(cells)} columns where {layout.width} are expected; is a quote missing?")
    if len(cells) <= layout.text:
        return Unreadable(source, f"{len(cells)} columns, but the text is in column {layout.text + 1}")
    others = {name: cells[index] for name, index in layout.others.items() if index < len(cells) and cells[index]}
    if "sent_at" in others:
        others["sent_at"] = time_as_iso(others["sent_at"], layout.month_first)
    return Message(cells[layout.text], source=source, **others)
