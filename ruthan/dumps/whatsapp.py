"""WhatsApp's chat exports (.txt) from iPhone and Android, and what WhatsApp Web gives when messages are copied."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple, TextIO

from ruthan.dumps.chat_entry import ChatEntry, file_title, spoken, take_stretch, without_end
from ruthan.dumps.dates import INVISIBLE, DateOrder, bangkok_iso, parse_clock, readings
from ruthan.dumps.lines import Line, numbered_lines
from ruthan.dumps.rows import Notice, Row, undecodable
from ruthan.message import Message, Source

_DATE = r"(?P<date>\d{1,4}[./-] ?\d{1,2}[./-] ?\d{1,4}\.?(?: ?(?:B\.?E\.?|A\.?D\.?|C\.?E\.?|พ\.?ศ\.?|ค\.?ศ\.?))?)"
_WORDS = r"[^\d\[\]:,\-–]{0,16}"  # AM or PM in any language, and the blanks around it
_TIME = rf"(?P<time>{_WORDS}\d{{1,2}}[:.]\d{{2}}(?P<seconds>[:.]\d{{2}})?{_WORDS})"
_MARKS = "[\u200e\u200f\u202a-\u202e\ufeff]{0,4}"
_HEADS = {
    "brackets": re.compile(rf"{_MARKS}\[{_MARKS}{_DATE},?[\s\u200e]{_TIME}\] ?"),
    "web": re.compile(rf"{_MARKS}\[{_MARKS}{_TIME}, ?{_DATE}\] ?"),
    "dash": re.compile(rf"{_MARKS}{_DATE},?[\s\u200e]{_TIME}[-–] "),
    "dash, time first": re.compile(rf"{_MARKS}{_TIME},? {_DATE} [-–] "),
}
_DAMAGED = {
    "brackets": re.compile(r"[\u200e\udcff]{0,4}[\[\udcff][\d/.:,\- APMapm\u200e\u202f\udcff]{12,40}\] "),
    "dash": re.compile(r"[\u200e\udcff]{0,4}[\d/.:,\- APMapm\u200e\u202f\udcff]{12,40} - "),
}
_AMERICAN_DATE = re.compile(r"[1-9]\d?/[1-9]\d?/\d{2}")
_AMERICAN_HALF = re.compile(r"[AP]M\s*$")
_LONGEST_HEAD = 120  # characters
_LONGEST_SENDER = 100

_TITLES = [
    re.compile(r"(?:WhatsApp Chat (?:with|-)|(?:การ)?แชท WhatsApp (?:กับ|-)|WhatsApp) (.+)"),
    re.compile(r"(.+?)とのWhatsAppチャット"),
]
_GENERIC_FILE = "_chat"

# Endings of what people send; not of programs, whose names are worth a scan, and none that web names end in.
_FILE = (
    r"[^\n/:<>]{1,200}\.(?:jpe?g|png|heic|gif|webp|mp4|mov|3gp|opus|m4a|mp3|aac|ogg|amr|wav|vcf"
    r"|pdf|docx?|xlsx?|pptx?|csv|txt|rtf)"
)
_ATTACHED = re.compile(
    "\u200e?<(?:attached|แนบ|ไฟล์ที่แนบ|添付ファイル|附件): ?(?P<iphone>[^<>\n/:]{1,200})>"
    rf"|\A\u200e?(?P<android>{_FILE}) \((?:file attached|ไฟล์ที่แนบ|ไฟล์แนบ|添付ファイル|文件附件|檔案附件)\)$",
    re.MULTILINE | re.IGNORECASE,
)
_ATTACHED_KINDS = {
    "photo": "jpg jpeg png heic gif",
    "sticker": "webp",
    "video": "mp4 mov 3gp",
    "voice": "opus m4a mp3 aac ogg amr",
    "contact": "vcf",
}
_KIND_OF_ENDING = {ending: kind for kind, endings in _ATTACHED_KINDS.items() for ending in endings.split()}
_PAGES = re.compile(
    rf"{_FILE}(?: ?[•·] ?[^\n@/]{{1,40}})?|[^\n@/:]{{1,200}} [•·] ?\d{{1,6}} [^\n@/\d]{{1,20}}", re.IGNORECASE
)
_EDITED = re.compile(
    "\\s?\u200e?<(?:This message was edited|ข้อความนี้[^<>\n]{0,40}แก้ไข[^<>\n]{0,20}|แก้ไขแล้ว"
    "|このメッセージは編集されました)>\u200e?$"
)
# After the caption or the file's name, behind the mark; or the whole text.
_OMITTED = re.compile(
    "(?:\u200e|\\A)(?P<kind>image|photo|video note|video|audio|GIF|sticker|document|Contact card) omitted\\Z",
    re.IGNORECASE,
)
_OMITTED_KINDS = {
    "image": "photo",
    "photo": "photo",
    "gif": "photo",
    "video": "video",
    "video note": "video",
    "audio": "voice",
    "sticker": "sticker",
    "document": "file",
    "contact card": "contact",
}
_IN_ANGLES = re.compile(r"<[^<>\n\d@/.:]{1,50}>")
_SHORT_PHRASE = re.compile(r"[^\n\d@/:<>]{1,60}")
_PLACE = re.compile(
    r"(?:live location shared|(?:location|ตำแหน่งที่ตั้ง|ตำแหน่ง|位置情報|位置): ?https://maps\.google\.com/\?q=[\d.,-]{1,60})",
    re.I,
)
_DELETED = re.compile(
    r"(?:This message was deleted(?: by admin [^\n]{1,60})?|You deleted this message(?: as admin)?|ข้อความนี้ถูกลบ(?:แล้ว)?|"
    r"คุณ(?:ได้)?ลบข้อความนี้(?:แล้ว)?|このメッセージは削除されました|メッセージを削除しました|此訊息已刪除|你已刪除此訊息)[.。]?"
)
_CALL = re.compile(
    r"(?:Missed (?:group )?(?:voice|video) call|(?:Voice|Video) call|สายที่ไม่ได้รับ|ไม่ได้รับสาย(?:สนทนา|วิดีโอ|โทร)?"
    r"|สายสนทนาที่ไม่ได้รับ|สายวิดีโอที่ไม่ได้รับ|การโทรด้วยเสียง|วิดีโอคอล)[^\n@/]{0,60}"
)
_SYSTEM = re.compile(
    r"[^\n]{0,100}?(?:end-to-end encrypted|created (?:this )?group|changed (?:the|this) (?:subject|group|settings)"
    r"|security code|changed their phone number|joined using (?:this group's|an|your) |was added"
    r"|are now an admin|disappearing messages|เข้ารหัสจากต้นทางถึงปลายทาง|(?:ได้)?สร้างกลุ่ม"
    r"|(?:ได้)?เปลี่ยน(?:หัวข้อ|หัวเรื่อง|ชื่อกลุ่ม|ไอคอน|รูป)|รหัสความปลอดภัย)[^\n]{0,300}",
    re.IGNORECASE,
)
# Who came and went may be telephone numbers, which do not make it something that was said.
_MEMBER = re.compile(
    r"[^\n:/@]{1,100} (?:(?:added|removed|invited) [^\n:/@]{1,200}|left|joined[^\n:/@]{0,60}"
    r"|(?:ได้)?(?:เพิ่ม|ลบ|เชิญ) [^\n:/@]{1,200}|(?:ได้)?(?:ออกจาก|เข้าร่วม)กลุ่ม(?:แล้ว)?)"
)
# In what stands before the first colon: then the colon is one inside of a note of WhatsApp's.
_NO_SENDER = re.compile(
    r"(?:created (?:this )?group|changed (?:the|this) (?:subject|group)|สร้างกลุ่ม|ตั้งชื่อกลุ่ม"
    r"|เปลี่ยน(?:หัวข้อ|หัวเรื่อง|ชื่อกลุ่ม)).{0,60}[\"“”']"
)


class _Head(NamedTuple):
    """What an entry begins with: date and time as written, whether with seconds, and where the rest begins."""

    date: str
    time: str
    seconds: bool
    end: int


def looks_like_whatsapp(head: str) -> bool:
    """Whether a file that begins with `head` (some 4,000 characters) is a chat exported or copied from WhatsApp."""
    lines = [line for line in head.split("\n") if line.strip("\ufeff\u200e \r\t")]
    if not lines:
        return False
    for form in _HEADS:
        heads = [_head(line, form) for line in lines]
        # A log with ` - ` after the time has seconds; Android's export has none.
        sure = [found for found in heads if found is not None and not (found.seconds and form.startswith("dash"))]
        if not sure:
            continue
        named = sum(
            found is not None and _sender_and_text(line.rstrip("\r")[found.end :])[0] is not None
            for line, found in zip(lines, heads, strict=True)
        )
        if named and (heads[0] in sure or (named > 1 and len(sure) > 1)):
            return True
        if heads[0] in sure and len(sure) == len(lines) and _SYSTEM.match(lines[0][heads[0].end :] if heads[0] else ""):
            return True
    return False


def read_whatsapp(stream: TextIO, file: str) -> Iterator[Row]:
    """One row for each entry of a WhatsApp chat.

    Each entry begins in the form that most of a first stretch of the file has; a line in another one belongs to the
    text before it.
    """
    lines = numbered_lines(stream)
    stretch = take_stretch(lines)
    form = _form(stretch)
    heads = [found for line in stretch if (found := _head(line.text, form))]
    order = DateOrder()
    order.learn((found.date for found in heads), usually_month_first=2 * sum(map(_american, heads)) > len(heads))
    thread = _thread(file)
    entry: ChatEntry | None = None
    for line in chain(stretch, lines):
        text = without_end(line)
        found = _head(text, form)
        begins = found is not None or _damaged_head(text, form)
        if entry is not None and not begins:
            entry.add(text)
        elif begins or text.strip("\ufeff\u200e \t"):
            if entry is not None:
                yield _row(entry, thread)
            entry = _opened(line, text, found, order, file)
    if entry is not None:
        yield _row(entry, thread)


def _form(stretch: list[Line]) -> str:
    counts = Counter(form for line in stretch for form in _HEADS if _head(line.text, form))
    return counts.most_common(1)[0][0] if counts else "brackets"


def _head(text: str, form: str) -> _Head | None:
    found = _HEADS[form].match(text, 0, _LONGEST_HEAD)
    if found is None or readings(found["date"]) is None or parse_clock(found["time"]) is None:
        return None
    return _Head(found["date"], found["time"], found["seconds"] is not None, found.end())


def _american(head: _Head) -> bool:
    """Whether date and time are written as phones of the United States do: `1/5/26, 1:00:00 PM`, the month first.

    The two digits of the year, the slashes, the numbers without a zero before them and the capital letters go together
    there only.
    """
    return _AMERICAN_DATE.fullmatch(head.date) is not None and _AMERICAN_HALF.search(head.time) is not None


def _damaged_head(text: str, form: str) -> bool:
    """Whether an entry begins here of whose date or time some bytes cannot be decoded."""
    pattern = _DAMAGED.get(form)
    found = pattern.match(text, 0, _LONGEST_HEAD) if pattern else None
    return found is not None and undecodable(found[0])


def _opened(line: Line, text: str, found: _Head | None, order: DateOrder, file: str) -> ChatEntry:
    source = Source(file, line.number)
    if found is None:  # a text above the first entry, or one with a damaged date
        entry = ChatEntry(source, None, None)
        entry.add(text.removeprefix("\ufeff"))
        return entry
    day, clock = order.day(found.date), parse_clock(found.time)
    sent_at = bangkok_iso(day, clock) if day and clock else f"{found.date} {found.time.strip()}"
    sender, words = _sender_and_text(text[found.end :])
    entry = ChatEntry(source, sender, sent_at, damaged=undecodable(sender or ""))
    entry.add(words)
    return entry


def _sender_and_text(rest: str) -> tuple[str | None, str]:
    """Sender and text of what follows the time; a note of WhatsApp's has no sender."""
    before, colon, words = rest[: _LONGEST_SENDER + 2].partition(": ")
    if colon:
        words = rest[len(before) + 2 :]
    elif len(rest) <= _LONGEST_SENDER and rest.rstrip().endswith(":"):
        before, words = rest.rstrip()[:-1], ""
    else:
        return None, rest
    if _NO_SENDER.search(before):
        return None, rest
    sender = re.sub(r"\s+", " ", INVISIBLE.sub("", before)).strip()
    if sender.startswith("~"):  # not among the contacts; some versions put a blank behind the sign
        sender = "~" + sender[1:].strip()
    return sender or None, words


def _row(entry: ChatEntry, thread: str | None) -> Row:
    if row := entry.unreadable():
        return row
    text, kind = _words(entry.text, entry.sender)
    if kind is None and entry.sender is None and entry.sent_at is not None and not spoken(text):
        kind = "system"
    if kind is not None:
        return Notice(entry.source, kind)
    return Message(text, "chat", entry.sender, entry.sent_at, thread, entry.source)


def _words(text: str, sender: str | None) -> tuple[str, str | None]:
    """What the sender wrote, and what kind of notice the entry is if that is nothing."""
    text = _EDITED.sub("", text)
    attached = None
    if found := _ATTACHED.search(text):
        name = found["iphone"] or found["android"]
        attached = _KIND_OF_ENDING.get(name.rsplit(".", 1)[-1].strip().casefold(), "file")
        text = _ATTACHED.sub("", text)
    elif found := _OMITTED.search(text):
        attached = _OMITTED_KINDS[found["kind"].casefold()]
        text = text[: found.start()]
    marked = text.startswith("\u200e")
    shown = INVISIBLE.sub("", text).strip()
    if attached:
        if not shown or (attached == "file" and _PAGES.fullmatch(shown)):
            return "", attached
        return text.strip("\u200e \n"), None
    if not shown:
        return "", "empty"
    kind = _notice(shown, marked, sender) if len(shown) <= 1_000 else None
    return text.removeprefix("\u200e"), kind


def _notice(shown: str, marked: bool, sender: str | None) -> str | None:
    by_program = marked or sender is None  # only what WhatsApp itself writes begins with the mark
    if _DELETED.fullmatch(shown):
        kind = "unsent"
    elif _PLACE.fullmatch(shown):
        kind = "place"
    elif by_program and _CALL.fullmatch(shown):
        kind = "call"
    elif _IN_ANGLES.fullmatch(shown):
        kind = "media"
    elif (
        (marked and _SHORT_PHRASE.fullmatch(shown))
        or (by_program and _SYSTEM.fullmatch(shown) and not spoken(shown))
        or (sender is None and _MEMBER.fullmatch(shown))
    ):
        kind = "system"
    else:
        return None
    return kind


def _thread(file: str) -> str | None:
    title = file_title(file, _TITLES)
    if title != _GENERIC_FILE:
        return title
    # `_chat.txt` is named after nothing; the archive around it is.
    return file_title(file.rpartition("!")[0], _TITLES)
