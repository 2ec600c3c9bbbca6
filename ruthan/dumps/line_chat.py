"""LINE's chat exports (.txt) in both layouts: with a title and tabs, or without a title and with single blanks.

The layout is decided once, by a first stretch of the file. The one with blanks does not say where a sender's name ends:
the names are learnt from the lines of each stretch, so memory does not grow with the file.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from itertools import chain
from typing import TextIO

from ruthan.dumps.chat_entry import SENTENCE, ChatEntry, LineFeed, file_title, spoken, take_stretch, without_end
from ruthan.dumps.dates import (
    INVISIBLE,
    DateOrder,
    bangkok_iso,
    names_right_weekday,
    parse_clock,
    plain_digits,
    readings,
)
from ruthan.dumps.lines import MAX_LINE, Line, numbered_lines
from ruthan.dumps.rows import Notice, Row, undecodable
from ruthan.message import Message, Source

_MAX_HEADERS = 50  # of one day; more alike in a row are not kept
_MAX_NAMES = 20_000
_NAME_WORDS = 8
_NAME_CHARACTERS = 60
_RECURS = 3  # texts behind a word at the least, for it to be one of several that belong to names
_FEW = 4  # lines with the same first word at the least, to tell what is common behind it
_NEARLY = 0.8

_TITLE_MARK = "[LINE] "
_TITLES = [
    re.compile(r"Chat (?:history )?(?:with|in) (.+)"),
    re.compile(r"(?:ประวัติการแชท|แชท)(?:กับ|ในกลุ่ม|ใน) ?(.+)"),
    re.compile(r"(.+?)(?:との|の)トーク(?:履歴)?"),
    re.compile(r"[與与](.+)的聊天[記记][錄录]"),
]
_SAVED = re.compile(r"(?:Saved on|Save date|บันทึกเมื่อ|บันทึกวันที่|保存日時|儲存日期|保存日期)")
_ANY_SAVED = re.compile(r"[^\t\d]{1,40}(\d{1,4}[./-]\d{1,2}[./-]\d{1,4})[^\t\d]{1,12}\d{1,2}[:.]\d{2}[^\t\d]{0,20}")

_DAY = re.compile(r"[^\t\d]{0,20}(?:\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|\d{4}年 ?\d{1,2}月 ?\d{1,2}日)[^\t\d]{0,20}")
_DOTTED_DAY = re.compile(r"\d{4}\.\d{1,2}\.\d{1,2} {1,2}[^\t\d ]{1,20}")
_DAY_CHARACTERS = 80
_DAMAGED_WORD = re.compile("[^\\s\\d./()-]{0,20}\udcff[^\\s\\d./()-]{0,20}")
_WORD = re.compile("[a-zA-Z\u0e00-\u0e7f\u3040-\u30ff\u4e00-\u9fff\udcff]+")

_TAB_HEAD = re.compile(r"\ufeff?([^\t\d]{0,14}\d{1,2}[:.]\d{2}(?::\d{2})?[^\t\d]{0,14})\t")
_DAMAGED_TAB_HEAD = re.compile(r"[\d:\udcff]{4,10}(?: ?[AaPp\udcff][Mm\udcff])?\t")
_HALF_BEFORE = "(?:午前|午後|上午|下午|ก่อนเที่ยง|หลังเที่ยง)"
_HALF_AFTER = r"(?:[AaPp]\.?[Mm]\.?|ก่อนเที่ยง|หลังเที่ยง)"
_BLANK_HEAD = re.compile(rf"\ufeff?((?:{_HALF_BEFORE} ?)?\d{{1,2}}:\d{{2}}(?: ?{_HALF_AFTER}(?= ))?)( {{1,3}})(?=\S)")

_KINDS = {
    "photo": "photo photos รูป รูปภาพ รูปถ่าย 写真 画像 照片 圖片 图片",
    "sticker": "sticker stickers สติกเกอร์ สติ๊กเกอร์ スタンプ 貼圖 贴图",
    "video": "video videos วิดีโอ คลิปวิดีโอ 動画 影片 视频",
    "voice": "voice_message audio ข้อความเสียง ボイスメッセージ 語音訊息 语音信息",
    "file": "file files ไฟล์ ファイル 檔案 文件",
    "place": "location ตำแหน่ง ตำแหน่งที่ตั้ง 位置情報 位置訊息 位置信息",
    "contact": "contact contacts รายชื่อติดต่อ 連絡先 聯絡資訊 联系人",
    "gift": "gift ของขวัญ ギフト プレゼント 禮物",
    "note": "note notes โน้ต ノート 記事本",
    "album": "album albums อัลบั้ม アルバム 相簿",
    "poll": "poll โพล 投票",
}
_PLACEHOLDERS = {word.replace("_", " "): kind for kind, words in _KINDS.items() for word in words.split()}
_BRACKETED = re.compile(r"\[([^\[\]\n]{1,40})\](?: (.*))?")
_WITH_DETAIL = frozenset({"file", "place", "album", "contact"})  # what follows the bracket is no sentence of the sender
_FILE_NAME = re.compile(r"[^\s/\\:]{1,120}\.(?:pdf|docx?|xlsx?|pptx?|csv|txt|jpe?g|png|gif|heic|mp[34]|m4a|mov)", re.I)
_UNSENT_ALONE = re.compile(
    r"(?:Message unsent|You unsent a message|ยกเลิกข้อความแล้ว|คุณยกเลิกข้อความแล้ว|คุณได้ยกเลิกข้อความ|"
    r"メッセージの送信を取り消しました|已收回訊息|已收回消息)\.?"
)
_UNSENT_BY = re.compile(
    r"(.{1,60}?)(?: unsent a message\.?| ยกเลิกข้อความ(?:แล้ว)?|がメッセージの送信を取り消しました|已收回[訊消]息)"
)
_CALL = re.compile(
    r"(?:☎️? ?)?(?:Missed (?:voice |video )?call|Cancell?ed(?: call)?|No answer|Call time [\d:]{1,10}"
    r"|Group (?:(?:voice|video) )?call (?:started|ended)"
    r"|ไม่ได้รับสาย|สายที่ไม่ได้รับ|การโทร|ยกเลิกการโทร|ไม่มีการตอบรับ"
    r"|(?:เวลาโทร|ระยะเวลาการโทร|เวลาการโทร|การโทร) ?[\d:]{1,10}"
    r"|通話時間 ?[\d:]{1,10}|不在着信|通話をキャンセルしました|通話に応答がありませんでした"
    r"|通話时长 ?[\d:]{1,10}|未接來電|未接来电)\.?"
)
_MEMBER = re.compile(
    r"(.{1,60}?)(?: (?:joined|left) the (?:group|chat)\.?"
    r"| (?:added|invited|removed) .{1,200} (?:to|from) the (?:group|chat)\.?"
    r"| (?:ได้)?(?:เข้าร่วม|ออกจาก)(?:กลุ่ม|แชท)(?:แล้ว)?"
    r"| (?:เพิ่ม|เชิญ) .{1,200} (?:เข้ากลุ่ม|เข้าร่วมกลุ่ม)"
    r"|がグループに参加しました。?|がグループを退会しました。?|が.{1,200}をグループに追加しました。?)"
)
_OTHER_SYSTEM = re.compile(
    r".{0,60}(?:changed the (?:group's|chat's|group|chat) .{1,200}|made an announcement.{0,200}|Added a new note\.?"
    r"|\d{1,4} items? added to album\.?|created the (?:album|group|poll).{0,200}"
    r"|(?:ได้)?เปลี่ยน(?:ชื่อกลุ่ม|ชื่อแชท|รูปโปรไฟล์กลุ่ม|รูปโปรไฟล์).{0,200}|Auto-reply|ตอบกลับอัตโนมัติ)"
)
# Kind of notice, and whether it is one only where no sender stands before it.
_NOTES = [
    (_CALL, "call", False),
    (_UNSENT_ALONE, "unsent", False),
    (_UNSENT_BY, "unsent", True),
    (_MEMBER, "system", True),
    (_OTHER_SYSTEM, "system", True),
]
_NAME_LIKE = re.compile(r"[^\W\d_]")
_NOT_A_NAME = re.compile(r"://|www\.|[/\\=<>]|^[-•*+#\d]|\.[^\W\d_]{2,6}$|^[(\[{\"'“]|^น\.$")
_NEVER_A_NAME = re.compile(r"://|www\.|[/\\=<>]|^[\d!-.:;?_~•–—]*$")
_NOT_IN_A_NAME = re.compile(r"://|www\.|[/\\=<>]|\.\w{2,6}$|^[-•*+]|[:,!?]$")
_VARIABLE = re.compile(r"[\d/@]|\w\.\w")
_FILE_TITLES = [re.compile(r"\[LINE\] ?(.+)"), *_TITLES]


def looks_like_line_chat(head: str) -> bool:
    """Whether a file that begins with `head` (some 4,000 characters) is a chat that LINE exported."""
    lines = [line.strip("\r") for line in head.removeprefix("\ufeff").split("\n")]
    written = [line for line in lines if line.strip()]
    if not written:
        return False
    titled = written[0].startswith(_TITLE_MARK)
    if titled:
        title = written[0].removeprefix(_TITLE_MARK).strip()
        if any(pattern.fullmatch(title) for pattern in _TITLES) or (len(written) > 1 and _is_saved_line(written[1])):
            return True
    days = {number for number, line in enumerate(written) if _is_day(line)}
    for number, line in enumerate(written):
        if number - 1 not in days:
            continue
        if _tab_clock(line) or ((titled or _dotted_day(written[number - 1])) and _blank_head(line)):
            return True
    return False


def read_line_chat(stream: TextIO, file: str) -> Iterator[Row]:
    """One row for each entry of a chat that LINE exported, in either layout."""
    lines = numbered_lines(stream)
    head = take_stretch(lines)
    if _has_tabs(head):
        yield from _TabbedChat(file, head).read(LineFeed(chain(head, lines)))
    else:
        yield from _BlankChat(file, head).read(head, lines)


def _is_saved_line(text: str) -> bool:
    return _SAVED.match(text) is not None or _ANY_SAVED.fullmatch(text.strip()) is not None


def _day_form(text: str) -> str | None:
    """A day header as written, without a weekday some of whose bytes cannot be decoded; None if it is none."""
    text = text.strip("\ufeff ")
    if len(text) > _DAY_CHARACTERS:
        return None
    if undecodable(text):
        text = _DAMAGED_WORD.sub("", text)
    return text if _DAY.fullmatch(plain_digits(text)) and readings(text) is not None else None


def _is_day(text: str) -> bool:
    return _day_form(text) is not None


def _tab_clock(text: str) -> tuple[str, int] | None:
    """The time that a line of the layout with tabs begins with, and where the rest begins."""
    found = _TAB_HEAD.match(text)
    return (found[1], found.end()) if found and parse_clock(found[1]) is not None else None


def _blank_head(text: str) -> tuple[str, str, str] | None:
    """Time, blanks and rest of a line of the layout with blanks."""
    found = _BLANK_HEAD.match(text)
    return (found[1], found[2], text[found.end() :]) if found and parse_clock(found[1]) is not None else None


def _has_tabs(head: list[Line]) -> bool:
    tabs = sum(_tab_clock(line.text) is not None for line in head)
    titled = bool(head) and head[0].text.removeprefix("\ufeff").startswith(_TITLE_MARK)
    blanks = sum(_blank_head(line.text) is not None for line in head)
    # A message in the layout with blanks may hold a table with tabs, and the other way round.
    return (4 if titled else 1) * tabs >= blanks


def _title_name(title: str) -> str | None:
    for pattern in _TITLES:
        if found := pattern.fullmatch(title):
            title = found[1]
            break
    title = title.strip()
    return title.strip('"').strip() or title or None


def _shape(day: str) -> str:
    return re.sub(r"\d+", "9", _WORD.sub("W", plain_digits(day.strip())))


def _notice(text: str, sender: str | None, bare: bool) -> str | None:
    """What kind of notice a text is, None if someone wrote it. `bare`: placeholders stand without brackets."""
    shown = INVISIBLE.sub("", text).strip()
    if not shown:
        return "empty"
    if len(shown) > 2 * SENTENCE:
        return None
    if kind := _placeholder(shown, bare):
        return kind
    notes = (kind for pattern, kind, alone in _NOTES if not (alone and sender is not None) and pattern.fullmatch(shown))
    return next(notes, None)


def _placeholder(shown: str, bare: bool) -> str | None:
    kind = None
    if found := _BRACKETED.fullmatch(shown):
        name, detail = found[1].casefold(), found[2]
        kind = _PLACEHOLDERS.get(name)
        if detail and kind not in _WITH_DETAIL:
            kind = "place" if name == "null" and "maps.google." in detail else None
    elif bare:
        kind = _PLACEHOLDERS.get(shown.casefold()) or ("file" if _FILE_NAME.fullmatch(shown) else None)
    return kind


class _Chat:
    """What both layouts share: the open entry, the current day, and how a row is made of them."""

    bare = False  # whether placeholders stand without brackets

    def __init__(self, file: str, head: list[Line]) -> None:
        self.file = file
        self.thread = file_title(file, _FILE_TITLES)
        self.order = DateOrder()
        self.order.learn(day for line in head if (day := _day_text(line)))
        self.day: date | None = None
        self.clock: time | None = None  # of the last entry of this day
        self.entry: ChatEntry | None = None
        self._shape: str | None = None  # of the day headers
        # Day headers that no entry has followed yet. If a text does, they were lines of the message before.
        self._headers: list[str] = []
        self._day_before: tuple[date | None, time | None] = (None, None)

    def start(self, line: Line, clock_text: str, sender: str | None) -> Iterator[Row]:
        """Open an entry; yields the one before."""
        yield from self.close()
        clock = parse_clock(clock_text)
        sent_at = clock_text.strip() if self.day is None or clock is None else bangkok_iso(self.day, clock)
        self.clock = clock
        self.entry = ChatEntry(Source(self.file, line.number), sender, sent_at)

    def go_on(self, line: Line, text: str) -> None:
        """A line that begins no entry: more of the open one, or a text that belongs to none."""
        if self.entry is None:
            if not text.strip("\ufeff \t") or (line.number <= 3 and _is_saved_line(text)):
                return
            self.entry = ChatEntry(Source(self.file, line.number), None, None)
        if self._headers:
            if not text.strip():
                return
            for header in self._headers:
                self.entry.add(header)
            self._headers.clear()
            self.day, self.clock = self._day_before
        self.entry.add(text)

    def header(self, text: str) -> bool:
        """Take `text` as a day header if it is one."""
        form = _day_form(text)
        if form is None:
            return False
        shape = _shape(text.strip("\ufeff "))
        if self._shape is not None and shape != self._shape and not names_right_weekday(form):
            return False
        day = self.order.day(form)
        if day is None:
            return False
        self._shape = self._shape or shape
        if self.entry is not None and not names_right_weekday(form):
            if not self._headers:
                self._day_before = (self.day, self.clock)
            if len(self._headers) < _MAX_HEADERS:
                self._headers.append(text)
        self.day, self.clock = day, None
        return True

    @property
    def sure_header(self) -> bool:
        """Whether the header just taken cannot have been a line of the message before."""
        return not self._headers

    def close(self) -> Iterator[Row]:
        """The row of the open entry, if there is one."""
        entry, self.entry = self.entry, None
        self._headers.clear()
        if entry is None:
            return
        if row := entry.unreadable():
            yield row
            return
        text = entry.text
        kind = _notice(text, entry.sender, self.bare)
        if kind is None and entry.sender is None and entry.sent_at is not None and not spoken(text):
            kind = "system"
        if kind is not None:
            yield Notice(entry.source, kind)
        else:
            yield Message(text, "chat", entry.sender or None, entry.sent_at, self.thread, entry.source)


def _day_text(line: Line) -> str | None:
    text = line.text.strip("\ufeff\r\n ")
    if len(text) > _DAY_CHARACTERS:
        return None
    if form := _day_form(text):
        return form
    # The time of saving is written in the same order as the days.
    found = _ANY_SAVED.fullmatch(plain_digits(text)) if line.number <= 3 else None
    return found[1] if found else None


class _TabbedChat(_Chat):
    """`TIME TAB SENDER TAB TEXT`, under day headers; texts of several lines in quotes with the inner ones doubled."""

    def __init__(self, file: str, head: list[Line]) -> None:
        super().__init__(file, head)
        # Then records end in CR LF, and a bare LF is a break inside of a message.
        self._crlf = bool(head) and head[0].text.endswith("\r\n")

    def read(self, feed: LineFeed) -> Iterator[Row]:
        """The rows of all entries."""
        while (line := feed.next()) is not None:
            text = without_end(line)
            if head := _tab_clock(text):
                yield from self._start(line, text, *head, feed)
            elif _DAMAGED_TAB_HEAD.match(text) and undecodable(text[: text.index("\t")]):
                yield from self.start(line, "", None)
                self.go_on(line, text)
            elif self._is_title(text, line, feed):
                yield from self.close()
                self._shape, self.day, self.clock = None, None, None
                self.thread = _title_name(text.strip("\ufeff").removeprefix(_TITLE_MARK)) or self.thread
            elif not self.header(text):
                self.go_on(line, text)
            elif self.sure_header:
                yield from self.close()
        yield from self.close()

    def _start(self, line: Line, text: str, clock: str, end: int, feed: LineFeed) -> Iterator[Row]:
        sender, tab, words = text[end:].partition("\t")
        if not tab:
            at = parse_clock(clock)
            if self.entry is not None and self.clock is not None and at is not None and at < self.clock:
                self.go_on(line, text)  # a row of a table in a message: notes of LINE's stand in their order
                return
            sender, words = "", sender
        yield from self.start(line, clock, sender.strip("\u200e ") or None)
        assert self.entry is not None
        self.entry.damaged = undecodable(sender)
        quoted = None if line.too_long else self._quoted(words, line, feed)
        for part in [words] if quoted is None else quoted:
            self.entry.add(part)

    def _is_title(self, text: str, line: Line, feed: LineFeed) -> bool:
        """Whether this is the title of the chat, at the top or where exports were put together."""
        if not text.removeprefix("\ufeff").startswith(_TITLE_MARK):
            return False
        saved = feed.next()
        if saved is None:
            return line.number == 1
        if _is_saved_line(without_end(saved)):
            return True
        feed.put_back([saved])
        return line.number == 1

    def _quoted(self, words: str, line: Line, feed: LineFeed) -> list[str] | None:
        """The lines of a quoted text without the quotes; None, and nothing taken, if it is none or never closes."""
        if not words.startswith('"'):
            return None
        if words.count('"') % 2 == 0:
            # A text of one line is only quoted for the sake of quotes in it; else they were typed.
            inner = words[1:-1]
            doubled = len(words) > 2 and words.endswith('"') and '"' not in inner.replace('""', "")
            return [inner.replace('""', '"')] if doubled and '""' in inner else None
        parts = self._until_closed(words, line, feed)
        if parts is None and self._crlf:
            self._crlf = False
            parts = self._until_closed(words, line, feed)
        if parts is None:
            return None
        parts[0] = parts[0][1:]
        parts[-1] = parts[-1][:-1]
        return [part.replace('""', '"') for part in parts]

    def _until_closed(self, words: str, line: Line, feed: LineFeed) -> list[str] | None:
        parts, taken = [words], []
        quotes, characters = words.count('"'), len(words)
        before = line
        while characters < MAX_LINE and (more := feed.next()) is not None:
            taken.append(more)
            text = without_end(more)
            inside = self._crlf and not before.text.endswith("\r\n")
            if (self._crlf and not inside) or more.too_long or (not inside and _tab_clock(text)):
                break
            parts.append(text)
            quotes += text.count('"')
            characters += len(text) + 1
            if quotes % 2 == 0 and text.endswith('"'):
                return parts
            before = more
        feed.put_back(taken)
        return None


@dataclass(frozen=True)
class _Start:
    """How a line of the layout with blanks reads as the beginning of an entry."""

    clock: str
    rest: str
    split: tuple[str | None, str] | None  # sender and text; None where the name is unknown
    later: time | None  # when the next entry of that day with a known sender was sent


class _BlankChat(_Chat):
    """`TIME SENDER TEXT` with single blanks, under day headers; the names of the senders are learnt."""

    bare = True

    def __init__(self, file: str, head: list[Line]) -> None:
        super().__init__(file, head)
        self._dotted = any(_dotted_day(without_end(line)) for line in head)
        self._names = _Names(self.thread)

    def read(self, head: list[Line], lines: Iterator[Line]) -> Iterator[Row]:
        """The rows of all entries."""
        stretch = head
        while stretch:
            self._names.learn(found for line in stretch if (found := _blank_head(without_end(line))))
            for line, start in zip(stretch, self._starts(stretch), strict=True):
                yield from self._line(line, start)
            stretch = take_stretch(lines)
        yield from self.close()

    def _starts(self, stretch: list[Line]) -> list[_Start | None]:
        """For each line of a stretch how it reads as the beginning of an entry, None if it does not."""
        starts: list[_Start | None] = []
        later: time | None = None
        for line in reversed(stretch):
            text = without_end(line)
            start = None
            if found := _blank_head(text):
                clock, blanks, rest = found
                start = _Start(clock, rest, self._split(blanks, rest), later)
                if start.split:
                    later = parse_clock(clock)
            elif self._is_header(text):
                later = None
            starts.append(start)
        return starts[::-1]

    def _line(self, line: Line, start: _Start | None) -> Iterator[Row]:
        text = without_end(line)
        if line.number == 1 and text.removeprefix("\ufeff").startswith(_TITLE_MARK):
            self.thread = _title_name(text.removeprefix("\ufeff").removeprefix(_TITLE_MARK)) or self.thread
        elif self._is_header(text) and self.header(text):
            if self.sure_header:
                yield from self.close()
        elif start is None or not (start.split or self._begins(start)):
            self.go_on(line, text)
        else:
            sender, words = start.split or self._guess(start.rest)
            yield from self.start(line, start.clock, sender)
            assert self.entry is not None
            self.entry.damaged = undecodable(sender or "")
            self.entry.add(words)

    def _is_header(self, text: str) -> bool:
        return _dotted_day(text) if self._dotted else _is_day(text)

    def _split(self, blanks: str, rest: str) -> tuple[str | None, str] | None:
        """Sender and text where both are sure, None for a name that was not learnt."""
        if _UNSENT_ALONE.fullmatch(rest) or _CALL.fullmatch(rest):
            return None, rest
        sender = self._names.longest(rest)
        if (about := _about(rest)) is not None and sender in (None, about):
            return None, rest
        if sender is not None:
            return sender, rest[len(sender) :].lstrip(" ")
        if _OTHER_SYSTEM.fullmatch(rest) and not spoken(rest):
            return None, rest
        if len(blanks) == 2 and 0 < (end := rest.find("  ")) <= _NAME_CHARACTERS:
            return rest[:end], rest[end:].lstrip(" ")
        return None

    def _begins(self, start: _Start) -> bool:
        """Whether a line with a time and an unknown name begins an entry: the times of a chat never go back."""
        at = parse_clock(start.clock)
        if self.entry is None or self._headers or at is None:
            return True
        if (self.clock is not None and at < self.clock) or (start.later is not None and at > start.later):
            return False
        first, blank, _ = start.rest.partition(" ")
        return bool(blank) and _like_a_name(first)

    @staticmethod
    def _guess(rest: str) -> tuple[str | None, str]:
        name = _before_placeholder(rest)
        if name is not None and _like_a_name(name.partition(" ")[0]) and all(map(_may_be_in_name, name.split(" "))):
            return name, rest[len(name) :].lstrip(" ")
        first, blank, words = rest.partition(" ")
        if blank and words.strip() and _like_a_name(first):
            return first, words.lstrip(" ")
        # An empty sender, not None: someone wrote this, it is no note of LINE's.
        return "", rest


def _about(rest: str) -> str | None:
    """Whom a note of LINE's is about: who joined, left, or took a message back. None if it is no such note."""
    if len(rest) > SENTENCE or spoken(rest):
        return None
    found = _MEMBER.fullmatch(rest) or _UNSENT_BY.fullmatch(rest)
    return found[1].strip() if found else None


def _dotted_day(text: str) -> bool:
    return _DOTTED_DAY.fullmatch(text.strip("\ufeff ")) is not None and _is_day(text)


def _like_a_name(word: str) -> bool:
    return len(word) <= 30 and _NAME_LIKE.search(word) is not None and _NOT_A_NAME.search(word) is None


def _odd_name(word: str) -> bool:
    """Whether a word may be a name that many lines begin with, though it looks like a web name, a number or a mark."""
    return len(word) <= 30 and _NEVER_A_NAME.search(word) is None


class _Names:
    """The senders of a chat in the layout with blanks, as far as they were learnt.

    A sender is a run of words that lines begin with and behind which the texts differ. Of the words that come next,
    those of the name recur, each before several texts, and are nearly all of them; those of a text are many, or follow
    the names of several people now and then.
    """

    def __init__(self, title: str | None) -> None:
        self._title = title
        self._names: set[str] = set()

    def longest(self, rest: str) -> str | None:
        """The longest known name that `rest` begins with, alone or before a blank."""
        found = None
        end = rest.find(" ")
        for _ in range(_NAME_WORDS):
            prefix = rest if end < 0 else rest[:end]
            if prefix in self._names:
                found = prefix
            if end < 0 or end > _NAME_CHARACTERS:
                break
            end = rest.find(" ", end + 1)
        return found

    def learn(self, heads: Iterable[tuple[str, str, str]]) -> None:
        """Add the names of a stretch of lines, given as time, blanks and rest."""
        texts = []
        for _, blanks, rest in heads:
            if len(blanks) == 2 and 0 < (end := rest.find("  ")) <= _NAME_CHARACTERS:
                self._add(rest[:end])
            elif not _UNSENT_ALONE.fullmatch(rest) and not _CALL.fullmatch(rest):
                texts.append(rest[:400])
        by_first: dict[str, list[list[str]]] = {}
        # The same text again and again would make its own words look like a name.
        for rest in sorted(set(texts)):
            words = rest.split(" ")
            by_first.setdefault(words[0], []).append(words[1:])
        by_first = {
            first: lines
            for first, lines in by_first.items()
            if len(lines) > 1 and (_like_a_name(first) or (_odd_name(first) and _texts(lines) > _FEW))
        }
        common = _CommonWords(by_first.values())
        for first, lines in by_first.items():
            for name in _grown([first], lines, common):
                self._add(" ".join(name))
        self._learn_exact(texts)

    def _learn_exact(self, texts: list[str]) -> None:
        """Names that stand before a placeholder or in a note of LINE's."""
        before_placeholder: Counter[str] = Counter()
        prefixes: Counter[str] = Counter()
        for rest in texts:
            words = rest.split(" ")
            for end in range(1, min(len(words), _NAME_WORDS + 1)):
                prefixes[" ".join(words[:end])] += 1
            if (name := _before_placeholder(rest)) is not None:
                before_placeholder[name] += 1
        if self._title and prefixes[self._title] > 1:
            self._add(self._title)
        for name in sorted(before_placeholder, key=len):
            times = before_placeholder[name]
            if times < 2 and prefixes[name] < 2:
                continue
            # `Korn ส่ง รูป` does not make a person of `Korn ส่ง`.
            shorter = self.longest(name)
            if shorter is None or shorter == name or (times > 2 and prefixes[name] >= 0.2 * prefixes[shorter]):
                self._add(name)
        for rest in texts:
            if (about := _about(rest)) is not None and self.longest(about) is None:
                self._add(about)

    def _add(self, name: str) -> None:
        if name and len(name) <= _NAME_CHARACTERS and len(self._names) < _MAX_NAMES:
            self._names.add(name)


def _before_placeholder(rest: str) -> str | None:
    """What stands before the placeholder or note of a call that ends `rest`, None if none does."""
    if len(rest) > _NAME_CHARACTERS + 40:
        return None
    words = rest.split(" ")
    for size in range(min(3, len(words) - 1), 0, -1):
        end = " ".join(words[-size:])
        if end.casefold() in _PLACEHOLDERS or _CALL.fullmatch(end):
            return " ".join(words[:-size])
    return None


class _CommonWords:
    """The words with which the texts of several people begin, and those which belong to several names."""

    def __init__(self, groups: Iterable[list[list[str]]]) -> None:
        """`groups`: for each first word of a line the lines behind it, as words."""
        self._opening: Counter[str] = Counter()  # behind how many first words each stands now and then
        self._naming: Counter[str] = Counter()  # behind how many nearly always
        for lines in groups:
            counts = Counter(words[0] for words in lines if words)
            total = counts.total()
            if total < _FEW:
                continue
            self._naming.update(word for word, count in counts.items() if count >= _NEARLY * total)
            if not _covered(counts, total):
                self._opening.update(word for word, count in counts.items() if 2 * count < total)

    def opens_texts(self, word: str) -> bool:
        """Whether `word` is more often the first one of a text than part of a name."""
        return self._opening[word] > max(2, self._naming[word])

    def is_of_names(self, word: str) -> bool:
        """Whether several names end in `word`."""
        return self._naming[word] >= 2 and not self.opens_texts(word)


def _covered(counts: Mapping[str, int], total: int) -> bool:
    """Whether words that recur are nearly all that comes next: what stands before them is then no whole name."""
    return sum(count for count in counts.values() if count >= _RECURS) >= _NEARLY * total


def _grown(name: list[str], lines: list[list[str]], common: _CommonWords, further: int = 4) -> Iterator[list[str]]:
    """The names that begin with the words of `name`. `lines`: what stands behind them. `further`: words at most."""
    branches: dict[str, list[list[str]]] = {}
    for words in lines:
        if words:
            branches.setdefault(words[0], []).append(words[1:])
    texts = {word: _texts(rests) for word, rests in branches.items()}
    total = sum(texts.values())
    least = 2 if len(branches) == 1 else _RECURS
    likely = {
        word: count
        for word, count in texts.items()
        if further
        and count >= least
        and _may_be_in_name(word)
        and not common.opens_texts(word)
        # A word after which nothing comes is the text itself.
        and sum(not rest for rest in branches[word]) <= 0.05 * len(branches[word])
    }
    covered = total > 0 and sum(likely.values()) >= _NEARLY * total
    if not covered:
        yield name
        likely = {word: count for word, count in likely.items() if count >= _FEW and common.is_of_names(word)}
    for word in likely:
        yield from _grown([*name, word], branches[word], common, further - 1)


def _may_be_in_name(word: str) -> bool:
    return len(word) <= 20 and _NOT_IN_A_NAME.search(word) is None


def _texts(rests: list[list[str]]) -> int:
    """How many texts there are among what follows a word, near-copies counted once.

    Near-copies differ in links and numbers, and in some words more; their longest word is the same.
    """
    kept = {tuple(word for word in words if not _VARIABLE.search(word)) for words in rests}
    by_longest = {max(words, key=len, default=""): frozenset(words) for words in sorted(kept)}
    if len(by_longest) > _FEW:
        return len(by_longest)
    distinct: list[frozenset[str]] = []
    for words in by_longest.values():
        if all(2 * len(words & other) < len(words | other) for other in distinct):
            distinct.append(words)
    return max(1, len(distinct))
