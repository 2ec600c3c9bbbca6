"""Write entries as the apps export them, one entry at a time: chats, SMS, mail and tables, plain or compressed."""

import base64
import csv
import gzip
import io
import json
import quopri
import re
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Literal, TextIO, cast

from benchmarks.dump_entries import BANGKOK, Entry

TITLE = "กลุ่มซื้อขายมือสอง"  # of the one chat of a format that holds one
SAVED = datetime(2026, 10, 4, 7, 48, tzinfo=BANGKOK)
OWNER = "มิ้นท์"  # whose dump it is
BLOCK = 10_000

_json = json.JSONEncoder(ensure_ascii=False).encode
_ascii_json = json.JSONEncoder().encode


@dataclass
class Written:
    """What a dump holds: entries that the format has no room for, such as stickers in a table, were left out."""

    messages: int = 0
    notices: int = 0


class Labels:
    """The side file to check results with: place of the entry as `ruthan` counts it, label, number of the campaign."""

    def __init__(self, stream: TextIO) -> None:
        self._rows = csv.writer(stream, lineterminator="\n")
        self._rows.writerow(("line", "label", "campaign"))

    def write(self, place: int, label: str | None, campaign: str | int | None) -> None:
        self._rows.writerow((place, label or "", "" if campaign is None else campaign))


def write_dump(path: Path, form: str, entries: Iterable[Entry], labels: TextIO | None = None) -> Written:
    """Write `entries` to `path` in the format `form` of FORMS; compressed if `path` ends in .gz, .zst or .zip.

    Formats that hold one chat hold all entries as one. Facebook's file has its newest message first and a Telegram
    account its chats one after the other; all others keep the order. Entries that a format cannot hold are left out.
    """
    written = Written()
    with _opened(path, form) as out:
        writer = FORMS[form](out, written, Labels(labels) if labels else None)
        writer.begin()
        for entry in entries:
            if entry.notice is None:
                writer.message(entry)
                written.messages += 1
            elif writer.notice(entry, entry.notice):
                written.notices += 1
        writer.end()
    return written


@contextmanager
def _opened(path: Path, form: str) -> Iterator[BinaryIO]:
    kind = path.suffix.lower()
    with path.open("wb", buffering=1 << 20) as file:
        if kind == ".gz":
            with (
                gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as packed,
                io.BufferedWriter(cast(io.RawIOBase, packed), 1 << 16) as out,
            ):
                yield cast(BinaryIO, out)
        elif kind == ".zst":
            import zstandard

            with zstandard.ZstdCompressor(level=3).stream_writer(file, closefd=False) as packed_zst:
                yield packed_zst
        elif kind == ".zip":
            member = zipfile.ZipInfo(NAMES[form])  # without a date of its own: the first that the format knows
            member.compress_type = zipfile.ZIP_DEFLATED
            member.external_attr = 0o644 << 16
            with zipfile.ZipFile(file, "w") as archive, archive.open(member, "w", force_zip64=True) as packed_zip:
                out = io.BufferedWriter(cast(io.RawIOBase, packed_zip), 1 << 16)
                yield cast(BinaryIO, out)
                out.flush()
        else:
            yield file


class _Writer:
    """A format. `begin` and `end` write what stands around the entries."""

    def __init__(self, out: BinaryIO, written: Written, labels: Labels | None) -> None:
        self._out = out
        self._written = written
        self._labels = labels
        self._entries = 0

    def begin(self) -> None:
        pass

    def message(self, entry: Entry) -> None:
        raise NotImplementedError

    def notice(self, entry: Entry, kind: str) -> bool:
        """Write it, or say that the format cannot hold it."""
        return False

    def end(self) -> None:
        pass

    def _put(self, text: str) -> None:
        self._out.write(text.encode())

    def _label(self, place: int, entry: Entry) -> None:
        if self._labels:
            self._labels.write(place, entry.label, entry.campaign)

    def _count(self, entry: Entry) -> int:
        """The number of this entry in the file, from 1."""
        self._entries += 1
        self._label(self._entries, entry)
        return self._entries


class _Lines(_Writer):
    """A format whose entries are known by the line at which they begin."""

    def __init__(self, out: BinaryIO, written: Written, labels: Labels | None) -> None:
        super().__init__(out, written, labels)
        self._line = 1

    def _put(self, text: str) -> None:
        self._line += text.count("\n")
        super()._put(text)

    def _entry(self, entry: Entry, text: str) -> None:
        self._label(self._line, entry)
        self._put(text)


# --- LINE ---

_THAI_DAYS = ("จ.", "อ.", "พ.", "พฤ.", "ศ.", "ส.", "อา.")
_LONG_THAI_DAYS = ("จันทร์", "อังคาร", "พุธ", "พฤหัสบดี", "ศุกร์", "เสาร์", "อาทิตย์")
_ENGLISH_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_ENGLISH_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_JAPANESE_DAYS = "月火水木金土日"


def _twelve(moment: datetime) -> str:
    return f"{(moment.hour + 11) % 12 + 1}:{moment.minute:02}"


def _half(moment: datetime) -> str:
    return "AM" if moment.hour < 12 else "PM"


class _Line(_Lines):
    """The layout with a title and tabs: Thai, a group, Buddhist era, texts of several lines in quotes."""

    head: ClassVar[str] = '[LINE] ประวัติการแชทในกลุ่ม "{title}"\nบันทึกเมื่อ {saved:%d/%m}/2569 {saved:%H:%M}\n'
    newline: ClassVar[str] = "\r\n"
    quotes: ClassVar[bool] = True
    system_tabs: ClassVar[int] = 2
    words: ClassVar[dict[str, str]] = {
        "photo": "[รูป]",
        "sticker": "[สติกเกอร์]",
        "video": "[วิดีโอ]",
        "voice": "[ข้อความเสียง]",
        "file": "[ไฟล์]",
        "call": "ไม่ได้รับสาย",
    }
    unsent: ClassVar[str] = "{sender} ยกเลิกข้อความ"
    system: ClassVar[str] = f"{OWNER} เพิ่ม {{sender}} เข้ากลุ่ม"

    def begin(self) -> None:
        self._day = -1
        self._put(self.head.format(title=TITLE, saved=SAVED).replace("\n", self.newline))

    def day(self, moment: datetime) -> str:
        return f"{_THAI_DAYS[moment.weekday()]} {moment.day:02}/{moment.month:02}/{moment.year + 543}"

    def time(self, moment: datetime) -> str:
        return f"{moment.hour:02}:{moment.minute:02}"

    def message(self, entry: Entry) -> None:
        text = entry.text
        if self.quotes and "\n" in text:
            text = '"' + text.replace('"', '""') + '"'
        self._record(entry, f"{self._time(entry)}\t{entry.sender}\t{text}{self.newline}")

    def notice(self, entry: Entry, kind: str) -> bool:
        if kind in self.words:
            after = f"\t{entry.sender}\t{self.words[kind]}"
        else:
            text = (self.unsent if kind == "unsent" else self.system).format(sender=entry.sender)
            after = "\t" * self.system_tabs + text
        self._record(entry, f"{self._time(entry)}{after}{self.newline}")
        return True

    def _time(self, entry: Entry) -> str:
        day = entry.sent_at.toordinal()
        if day != self._day:
            self._day = day
            self._put(f"{self.newline}{self.day(entry.sent_at)}{self.newline}")
        return self.time(entry.sent_at)

    def _record(self, entry: Entry, text: str) -> None:
        self._entry(entry, text)


class _LineThaiPair(_Line):
    """Thai, two people, Common Era."""

    head = "[LINE] แชทกับ {title}\nบันทึกวันที่ {saved:%Y/%m/%d %H:%M}\n"
    words: ClassVar[dict[str, str]] = {**_Line.words, "photo": "[รูปภาพ]"}

    def day(self, moment: datetime) -> str:
        return f"{moment:%Y/%m/%d} {_LONG_THAI_DAYS[moment.weekday()]}"


class _LineEnglish(_Line):
    head = "[LINE] Chat history in {title}\nSaved on: {saved:%Y/%m/%d %H:%M}\n"
    words: ClassVar[dict[str, str]] = {
        "photo": "[Photo]",
        "sticker": "[Sticker]",
        "video": "[Video]",
        "voice": "[Voice message]",
        "file": "[File]",
        "call": "Missed call",
    }
    unsent = "{sender} unsent a message."
    system = "{sender} joined the group."

    def day(self, moment: datetime) -> str:
        return f"{moment:%Y/%m/%d}({_ENGLISH_DAYS[moment.weekday()]})"


class _LineOld(_LineEnglish):
    """English of the United States, older: no quotes, twelve hours, month first, system lines after one tab."""

    head = "[LINE] Chat in {title}\nSaved on: 10/4/2026, 07:48\n"
    newline = "\n"
    quotes = False
    system_tabs = 1

    def day(self, moment: datetime) -> str:
        return f"{_ENGLISH_DAYS[moment.weekday()]}, {moment.month}/{moment.day}/{moment.year}"

    def time(self, moment: datetime) -> str:
        return f"{_twelve(moment)} {_half(moment)}"


class _LineJapanese(_Line):
    head = "[LINE] {title}のトーク履歴\n保存日時：{saved:%Y/%m/%d %H:%M}\n"
    words: ClassVar[dict[str, str]] = {
        "photo": "[写真]",
        "sticker": "[スタンプ]",
        "video": "[動画]",
        "voice": "[ボイスメッセージ]",
        "file": "[ファイル]",
        "call": "☎ 不在着信",
    }
    unsent = "{sender}がメッセージの送信を取り消しました"
    system = "{sender}がグループに参加しました。"

    def day(self, moment: datetime) -> str:
        return f"{moment:%Y/%m/%d}({_JAPANESE_DAYS[moment.weekday()]})"

    def time(self, moment: datetime) -> str:
        return ("午前" if moment.hour < 12 else "午後") + _twelve(moment)


class _LineSpaces(_Line):
    """The layout without a title and tabs: Thai."""

    head = ""
    newline = "\n"
    quotes = False
    words: ClassVar[dict[str, str]] = {name: text.strip("[]") for name, text in _Line.words.items()}
    unsent = "ยกเลิกข้อความแล้ว"
    system = "{sender} เข้าร่วมกลุ่ม"

    def day(self, moment: datetime) -> str:
        return f"{moment:%Y.%m.%d} วัน{_LONG_THAI_DAYS[moment.weekday()]}"

    def _time(self, entry: Entry) -> str:
        day = entry.sent_at.toordinal()
        if day != self._day:  # no empty line before the first day
            self._put(("\n" if self._day > 0 else "") + self.day(entry.sent_at) + "\n")
            self._day = day
        return self.time(entry.sent_at)

    def _record(self, entry: Entry, text: str) -> None:
        self._entry(entry, re.sub("\t+", " ", text))


class _LineSpacesEnglish(_LineSpaces):
    words: ClassVar[dict[str, str]] = {
        "photo": "Photos",
        "sticker": "Stickers",
        "video": "Videos",
        "voice": "Audio",
        "file": "File",
        "call": "Missed call",
    }
    unsent = "Message unsent."
    system = "{sender} joined the group."

    def day(self, moment: datetime) -> str:
        return f"{moment:%Y.%m.%d} {_LONG_ENGLISH_DAYS[moment.weekday()]}"


# --- WhatsApp ---

_ENCRYPTED = "Messages and calls are end-to-end encrypted. No one outside of this chat can read or listen to them."
_ENCRYPTED_THAI = "ข้อความและการโทรได้รับการเข้ารหัสจากต้นทางถึงปลายทาง"
_FILES = {"photo": ("PHOTO", "IMG", "jpg"), "sticker": ("STICKER", "STK", "webp"), "video": ("VIDEO", "VID", "mp4")}
_FILES |= {"voice": ("AUDIO", "PTT", "opus"), "file": ("DOC", "DOC", "pdf")}


class _WhatsApp(_Lines):
    """What all have: the note on encryption before the first entry, which is a notice too."""

    def begin(self) -> None:
        self._first = True

    def message(self, entry: Entry) -> None:
        self._note(entry)
        self._entry(entry, f"{self.head(entry.sent_at)}{entry.sender}: {entry.text}\n")

    def notice(self, entry: Entry, kind: str) -> bool:
        text = self.notice_line(entry, kind)
        if text:
            self._note(entry)
            self._entry(entry, f"{text}\n")
        return bool(text)

    def head(self, moment: datetime) -> str:
        raise NotImplementedError

    def notice_line(self, entry: Entry, kind: str) -> str:
        """The line, or nothing if it is not known how this kind is written."""
        raise NotImplementedError

    def note(self, entry: Entry) -> str:
        raise NotImplementedError

    def _note(self, entry: Entry) -> None:
        if self._first:
            self._first = False
            self._written.notices += 1
            self._entry(entry._replace(label=None, campaign=None), f"{self.head(entry.sent_at)}{self.note(entry)}\n")


class _IPhone(_WhatsApp):
    def head(self, moment: datetime) -> str:
        return f"[{moment.day:02}/{moment.month:02}/{moment.year + 543} {moment:%H:%M:%S}] "

    def note(self, entry: Entry) -> str:
        return f"{TITLE}: \u200e{_ENCRYPTED_THAI}"

    def notice_line(self, entry: Entry, kind: str) -> str:
        if kind not in _FILES:
            return ""
        what, _, ending = _FILES[kind]
        name = f"{self._line:08}-{what}-{entry.sent_at:%Y-%m-%d-%H-%M-%S}.{ending}"
        return f"\u200e{self.head(entry.sent_at)}{entry.sender}: \u200e<แนบ: {name}>"


class _IPhoneEnglish(_WhatsApp):
    """English of the United States: twelve hours behind a narrow blank."""

    words: ClassVar[dict[str, str]] = {
        "photo": "image omitted",
        "sticker": "sticker omitted",
        "video": "video omitted",
        "voice": "audio omitted",
        "file": "offer.pdf document omitted",
        "call": "Missed voice call",
        "unsent": "This message was deleted",
        "system": "{sender} created group",
    }

    def head(self, moment: datetime) -> str:
        time = f"{_twelve(moment)}:{moment.second:02}\u202f{_half(moment)}"
        return f"[{moment.month}/{moment.day}/{moment.year % 100:02}, {time}] "

    def note(self, entry: Entry) -> str:
        return f"{TITLE}: \u200e{_ENCRYPTED}"

    def notice_line(self, entry: Entry, kind: str) -> str:
        words = self.words[kind].format(sender=entry.sender)
        mark = "" if kind == "file" else "\u200e"
        return f"{mark}{self.head(entry.sent_at)}{entry.sender}: \u200e{words}"


class _Android(_WhatsApp):
    def head(self, moment: datetime) -> str:
        return f"{moment.day:02}/{moment.month:02}/{moment.year + 543} {moment:%H:%M} - "

    def note(self, entry: Entry) -> str:
        return _ENCRYPTED_THAI

    def notice_line(self, entry: Entry, kind: str) -> str:
        if kind not in _FILES:
            return ""
        _, what, ending = _FILES[kind]
        name = f"{what}-{entry.sent_at:%Y%m%d}-WA{self._line % 10_000:04}.{ending}"
        return f"{self.head(entry.sent_at)}{entry.sender}: {name} (ไฟล์ที่แนบ)"


class _AndroidEnglish(_WhatsApp):
    def head(self, moment: datetime) -> str:
        time = f"{_twelve(moment)}\u202f{_half(moment)}"
        return f"{moment.month}/{moment.day}/{moment.year % 100:02}, {time} - "

    def note(self, entry: Entry) -> str:
        return _ENCRYPTED

    def notice_line(self, entry: Entry, kind: str) -> str:
        head = self.head(entry.sent_at)
        if kind == "system":
            return f"{head}{entry.sender} left"
        if kind == "call":
            return f"{head}Missed voice call"
        return f"{head}{entry.sender}: {'This message was deleted' if kind == 'unsent' else '<Media omitted>'}"


# --- Telegram ---

_ENTITY = re.compile(r"(?P<link>https?://[\w./-]{1,200})|(?P<mention>(?<!\S)@[a-z][a-z0-9_]{4,30})")
_LEFT_OUT = "(File not included. Change data exporting settings to download.)"
_TELEGRAM_MEDIA = {"sticker": "sticker", "video": "video_file", "voice": "voice_message"}


def _telegram(entry: Entry, number: int) -> dict[str, Any]:
    seconds = str(int(entry.sent_at.timestamp()))
    at = {"date": entry.sent_at.isoformat()[:19], "date_unixtime": seconds}
    who = f"user{1_000_000 + sum(map(ord, entry.sender)) * 7}"
    if entry.notice in ("call", "system", "unsent"):
        action = "phone_call" if entry.notice == "call" else "join_group_by_link"
        about = {"id": number, "type": "service", **at, "actor": entry.sender, "actor_id": who, "action": action}
        return {**about, "text": "", "text_entities": []}
    content: dict[str, Any] = {"id": number, "type": "message", **at, "from": entry.sender, "from_id": who}
    if entry.notice == "photo":
        content |= {"photo": _LEFT_OUT, "width": 960, "height": 1280}
    elif entry.notice:
        content["file"] = _LEFT_OUT
        if entry.notice in _TELEGRAM_MEDIA:
            content["media_type"] = _TELEGRAM_MEDIA[entry.notice]
    pieces: list[Any] = []
    end = 0
    for found in _ENTITY.finditer(entry.text):
        if found.start() > end:
            pieces.append(entry.text[end : found.start()])
        pieces.append({"type": found.lastgroup, "text": found[0]})
        end = found.end()
    if not pieces:
        whole = [{"type": "plain", "text": entry.text}] if entry.text else []
        return {**content, "text": entry.text, "text_entities": whole}
    pieces += [entry.text[end:]] if end < len(entry.text) else []
    entities = [{"type": "plain", "text": each} if isinstance(each, str) else each for each in pieces]
    return {**content, "text": pieces, "text_entities": entities}


class _JsonList(_Writer):
    """JSON with a list of entries, which follow each other in their order."""

    def begin(self) -> None:
        self._put(self.opening())

    def message(self, entry: Entry) -> None:
        number = self._count(entry)
        self._put((",\n" if number > 1 else "") + self.encode(self.content(entry, number)))

    def end(self) -> None:
        self._put(self.closing())

    encode = staticmethod(_json)

    def opening(self) -> str:
        raise NotImplementedError

    def closing(self) -> str:
        raise NotImplementedError

    def content(self, entry: Entry, number: int) -> Any:
        raise NotImplementedError


class _Chat(_JsonList):
    """As above, of a chat that holds notices of every kind."""

    def notice(self, entry: Entry, kind: str) -> bool:
        self.message(entry)
        return True


class _Telegram(_Chat):
    def opening(self) -> str:
        return f'{{\n "name": {_json(TITLE)},\n "type": "private_supergroup",\n "id": 1000000001,\n "messages": [\n'

    def content(self, entry: Entry, number: int) -> Any:
        return _telegram(entry, number)

    def closing(self) -> str:
        return "\n ]\n}\n"


class _TelegramAccount(_Writer):
    """All chats of an account one after the other; until the end each waits in a file of its own."""

    def begin(self) -> None:
        self._chats: dict[str, BinaryIO] = {}

    def message(self, entry: Entry) -> None:
        self._entries += 1
        chat = self._chats.get(entry.thread)
        if chat is None:
            chat = self._chats[entry.thread] = _waiting_room()
        chat.write(_waiting(entry, _json(_telegram(entry, self._entries))))

    def notice(self, entry: Entry, kind: str) -> bool:
        self.message(entry)
        return True

    def end(self) -> None:
        about = (
            "Here is the data you requested. Remember: Telegram is ad free, it doesn't use your data for ad targeting"
        )
        personal = {"user_id": 1_000_000, "first_name": OWNER, "last_name": "", "phone_number": "", "bio": ""}
        self._put(f'{{\n "about": {_json(about)},\n "personal_information": {_json(personal)},\n "contacts": ')
        self._put('{"about": "", "list": []},\n "chats": {\n "about": "This page lists all chats.",\n "list": [\n')
        place = 0
        for number, (name, lines) in enumerate(self._chats.items()):
            head = f'"name": {_json(name)}, "type": "private_group", "id": {1_000_000_001 + number}, "messages": [\n'
            self._put((",\n" if number else "") + "{" + head)
            place = _copy(lines, self._out, self._labels, place)
            lines.close()
            self._put("\n]}")
        self._put("\n ]\n}\n}\n")


def _waiting_room() -> BinaryIO:
    return cast(BinaryIO, tempfile.TemporaryFile())  # the writer closes it at its end


def _waiting(entry: Entry, content: str) -> bytes:
    campaign = "" if entry.campaign is None else entry.campaign
    return f"{entry.label or ''}\t{campaign}\t{content}\n".encode()


def _copy(lines: BinaryIO, out: BinaryIO, labels: Labels | None, place: int) -> int:
    """Copy what waited; gives the number of the last entry, where the one before the first is `place`."""
    lines.seek(0)
    for index, line in enumerate(lines):
        label, campaign, content = line.rstrip(b"\n").split(b"\t", 2)
        out.write((b",\n" if index else b"") + content)
        place += 1
        if labels:
            labels.write(place, label.decode(), campaign.decode())
    return place


# --- Messenger ---


def _broken(text: str) -> str:
    """As "Download your information" writes it: each byte of UTF-8 as a character."""
    return text.encode().decode("latin-1")


def _milliseconds(entry: Entry) -> int:
    return int(entry.sent_at.timestamp()) * 1000 + 345


_FACEBOOK_MEDIA = {"photo": "photos", "video": "videos", "voice": "audio_files", "file": "files"}


class _Facebook(_Writer):
    """The newest message first; blocks of them wait in a file until the end."""

    def begin(self) -> None:
        self._waits = _waiting_room()
        self._blocks: list[tuple[int, int]] = []
        self._block: list[bytes] = []

    def message(self, entry: Entry) -> None:
        content: dict[str, Any] = {"sender_name": _broken(entry.sender), "timestamp_ms": _milliseconds(entry)}
        kind = entry.notice
        if kind is None:
            content["content"] = _broken(entry.text)
        elif kind in _FACEBOOK_MEDIA:
            content[_FACEBOOK_MEDIA[kind]] = [
                {"uri": f"messages/inbox/media/{len(self._block)}", "creation_timestamp": 1}
            ]
        elif kind == "sticker":
            content["sticker"] = {"uri": "messages/stickers_used/1.png", "ai_stickers": []}
        elif kind == "call":
            content |= {"content": _broken(f"{entry.sender} missed your call."), "call_duration": 0}
        elif kind == "unsent":
            content["is_unsent"] = True
        else:
            content["content"] = _broken(f"{entry.sender} named the group {TITLE}.")
        content["is_geoblocked_for_viewer"] = False
        self._block.append(_waiting(entry, _ascii_json(content)))
        if len(self._block) == BLOCK:
            self._put_aside()

    def notice(self, entry: Entry, kind: str) -> bool:
        self.message(entry)
        return True

    def _put_aside(self) -> None:
        block = b"".join(reversed(self._block))
        self._blocks.append((self._waits.tell(), len(block)))
        self._waits.write(block)
        self._block.clear()

    def end(self) -> None:
        self._put_aside()
        people = [{"name": _broken(name)} for name in (OWNER, TITLE)]
        self._put(f'{{"participants": {_ascii_json(people)},\n"messages": [\n')
        place = 0
        for start, size in reversed(self._blocks):
            self._waits.seek(start)
            if place and size:
                self._put(",\n")
            place = _copy(cast(BinaryIO, io.BytesIO(self._waits.read(size))), self._out, self._labels, place)
        self._waits.close()
        about = {"title": _broken(TITLE), "is_still_participant": True, "thread_path": "inbox/chat_1000000001"}
        self._put("\n],\n" + _ascii_json({**about, "magic_words": []})[1:] + "\n")


class _Messenger(_Chat):
    """The download of end-to-end encrypted chats."""

    def opening(self) -> str:
        people = [OWNER, TITLE]
        return f'{{"participants": {_json(people)},\n"threadName": {_json(TITLE + "_7")},\n"messages": [\n'

    def content(self, entry: Entry, number: int) -> Any:
        kind = entry.notice
        has_media = kind in ("photo", "video", "voice", "file", "sticker")
        ending = {"photo": "jpeg", "video": "mp4", "voice": "ogg", "file": "pdf"}.get(kind or "", "png")
        unsent = kind == "unsent"
        return {
            "isUnsent": unsent,
            "media": [{"uri": f"./media/{number:08x}.{ending}"}] if has_media else [],
            "reactions": [],
            "senderName": entry.sender,
            "text": "User unsent a message" if unsent else entry.text,
            "timestamp": _milliseconds(entry),
            "type": "media" if has_media else "placeholder" if kind in ("call", "system") else "text",
        }

    def closing(self) -> str:
        return "\n]}\n"


# --- Discord ---

_DISCORD_FILES = {"photo": "a.png", "video": "a.mp4", "voice": "voice-message.ogg", "file": "a.pdf"}


class _Discord(_Chat):
    def opening(self) -> str:
        guild = {"id": "1000", "name": "เซิร์ฟทดลอง", "iconUrl": ""}
        channel = {
            "id": "2000",
            "type": "GuildTextChat",
            "categoryId": "3000",
            "category": "ทั่วไป",
            "name": TITLE,
            "topic": None,
        }
        about = {"guild": guild, "channel": channel, "dateRange": {"after": None, "before": None}}
        return _json({**about, "exportedAt": SAVED.isoformat()})[:-1] + ',\n"messages": [\n'

    def content(self, entry: Entry, number: int) -> Any:
        kind = entry.notice
        words, stands_for = entry.text, "Default"
        if kind in ("system", "unsent"):
            words, stands_for = "Joined the server.", "GuildMemberJoin"
        elif kind == "call":
            words, stands_for = "Started a call that lasted 3 minutes.", "Call"
        files = [_DISCORD_FILES[kind]] if kind in _DISCORD_FILES else []
        author = {"id": str(5000 + sum(map(ord, entry.sender))), "name": entry.sender, "discriminator": "0000"}
        return {
            "id": str(4000 + number),
            "type": stands_for,
            "timestamp": entry.sent_at.isoformat("T", "milliseconds"),
            "timestampEdited": None,
            "callEndedTimestamp": None,
            "isPinned": False,
            "content": words,
            "author": {**author, "nickname": entry.sender, "color": None, "isBot": False, "roles": [], "avatarUrl": ""},
            "attachments": [{"id": "6000", "url": name, "fileName": name, "fileSizeBytes": 1234} for name in files],
            "embeds": [],
            "stickers": [{"id": "7000", "name": "wave", "format": "Png"}] if kind == "sticker" else [],
            "reactions": [],
            "mentions": [],
        }

    def closing(self) -> str:
        return f'\n], "messageCount": {self._entries}}}\n'


# --- SMS ---

_REFERENCES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;"}
_SPECIAL = re.compile('[&<>"\n\U00010000-\U0010ffff]')
_THAI_MONTHS = "ม.ค. ก.พ. มี.ค. เม.ย. พ.ค. มิ.ย. ก.ค. ส.ค. ก.ย. ต.ค. พ.ย. ธ.ค.".split()


def _xml(text: str) -> str:
    """An attribute's value as the app writes it, emoji as two references to halves of a character."""

    def reference(found: re.Match[str]) -> str:
        character = found[0]
        if character in _REFERENCES:
            return _REFERENCES[character]
        code = ord(character) - 0x10000
        return f"&#{0xD800 + (code >> 10)};&#{0xDC00 + (code & 0x3FF)};"

    return _SPECIAL.sub(reference, text)


class _SmsBackup(_Writer):
    """Android's SMS Backup & Restore; its head tells how many follow, so that all wait in a file until the end."""

    def begin(self) -> None:
        self._waits = _waiting_room()

    def message(self, entry: Entry) -> None:
        number = self._count(entry)
        text = _xml(entry.text)
        if number % 40 == 0:  # as chat messages (RCS) and long texts may be kept
            part = f'<part seq="0" ct="text/plain" name="null" chset="106" cd="null" fn="null" text="{text}" />'
            self._mms(entry, part)
            return
        seconds = int(entry.sent_at.timestamp())
        self._waits.write(
            f'  <sms protocol="0" address="{_xml(entry.sender)}" date="{seconds}345" type="1" subject="null"'
            f' body="{text}"'
            f' toa="null" sc_toa="null" service_center="+66000000000" read="1" status="-1" locked="0"'
            f' date_sent="{seconds}000" sub_id="1" readable_date="{self._readable(entry.sent_at)}"'
            ' contact_name="(Unknown)" />\n'.encode()
        )

    def notice(self, entry: Entry, kind: str) -> bool:
        types = {"photo": "image/jpeg", "video": "video/mp4", "voice": "audio/amr"}
        if kind not in types:
            return False
        self._count(entry)
        picture = base64.b64encode(bytes(range(256))).decode()
        self._mms(entry, f'<part seq="0" ct="{types[kind]}" name="a" chset="null" text="null" data="{picture}" />')
        return True

    def end(self) -> None:
        self._put("<?xml version='1.0' encoding='UTF-8' standalone='yes' ?>\n")
        self._put('<?xml-stylesheet type="text/xsl" href="sms.xsl"?>\n')
        about = 'backup_set="00000000-0000-0000-0000-000000000000"'
        self._put(f'<smses count="{self._entries}" {about} backup_date="{int(SAVED.timestamp())}000" type="full">\n')
        self._waits.seek(0)
        while piece := self._waits.read(1 << 20):
            self._out.write(piece)
        self._waits.close()
        self._put("</smses>\n")

    def _mms(self, entry: Entry, part: str) -> None:
        seconds = int(entry.sent_at.timestamp())
        address = _xml(entry.sender)
        self._waits.write(
            f'  <mms date="{seconds}000" msg_box="1" address="{address}" m_type="132" sub="null"'
            f' ct_t="application/vnd.wap.multipart.related" read="1" readable_date="{self._readable(entry.sent_at)}"'
            f' contact_name="(Unknown)">\n    <parts>\n'
            '      <part seq="-1" ct="application/smil" name="null" text="&lt;smil&gt;&lt;/smil&gt;" />\n'
            f"      {part}\n    </parts>\n"
            f'    <addrs><addr address="{address}" type="137" charset="106" /></addrs>\n  </mms>\n'.encode()
        )

    def _readable(self, moment: datetime) -> str:
        return f"{moment.day} {_THAI_MONTHS[moment.month - 1]} {moment.year + 543} {moment:%H:%M:%S}"


# --- Mail ---


class _Mailbox(_Writer):
    """A first line that is short is the subject. Bodies are base64, quoted-printable, plain, or two alternatives."""

    def message(self, entry: Entry) -> None:
        number = self._count(entry)
        subject, _, body = entry.text.partition("\n")
        if not body or body.startswith("\n") or len(subject) > 200:
            subject, body = "", entry.text
        style = number % 10
        if style < 5:
            self._mail(entry, subject, 'text/plain; charset="utf-8"', _base64(body), "base64")
        elif style < 8:
            self._mail(entry, subject, "text/plain; charset=UTF-8", _printable(body), "quoted-printable")
        elif style == 8:
            self._mail(entry, subject, "text/plain; charset=utf-8", f"{body}\n", "8bit")
        else:
            between = f"=_{number:08x}"
            html = f"<html><body>{'<br>'.join(map(_xml, body.split(chr(10))))}</body></html>"
            parts = "".join(
                f"--{between}\nContent-Type: text/{kind}; charset=utf-8\n"
                f"Content-Transfer-Encoding: base64\n\n{_base64(text)}\n"
                for kind, text in (("plain", body), ("html", html))
            )
            self._mail(entry, subject, f'multipart/alternative; boundary="{between}"', f"{parts}--{between}--\n", "")

    def notice(self, entry: Entry, kind: str) -> bool:
        if kind not in ("photo", "file"):
            return False
        self._count(entry)
        content = "image/jpeg" if kind == "photo" else "application/pdf"
        disposition = 'Content-Disposition: attachment; filename="a"'
        part = f"Content-Type: {content}\n{disposition}\nContent-Transfer-Encoding: base64\n\n{_base64('invented')}"
        self._mail(entry, "", 'multipart/mixed; boundary="=_a"', f"--=_a\n{part}\n--=_a--\n", "")
        return True

    def _mail(self, entry: Entry, subject: str, kind: str, body: str, coding: str) -> None:
        moment = entry.sent_at
        month = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()[moment.month - 1]
        day = _ENGLISH_DAYS[moment.weekday()]
        lines = [f"From {entry.sender} {day} {month} {moment.day:2} {moment:%H:%M:%S} {moment.year}"]
        lines.append(f"From: {entry.sender}")
        lines.append("To: <korn@example.com>")
        lines.append(f"Date: {day}, {moment.day:02} {month} {moment.year} {moment:%H:%M:%S} +0700")
        lines.append(f"Message-ID: <{self._entries}@example.com>")
        if subject:
            lines.append(f"Subject: {_header(subject)}")
        lines += ["MIME-Version: 1.0", f"Content-Type: {kind}"]
        lines += [f"Content-Transfer-Encoding: {coding}"] if coding else []
        self._put("\n".join(lines) + "\n\n" + re.sub(r"(?m)^(>*From )", r">\1", body) + "\n")


def _base64(text: str) -> str:
    return base64.encodebytes(text.encode()).decode()


def _printable(text: str) -> str:
    return quopri.encodestring(text.encode()).decode() + "\n"


def _header(text: str) -> str:
    """A header beyond ASCII in coded words, each of whole characters and at most 75 long."""
    if text.isascii() and len(text) < 60:
        return text
    words, word = [], b""
    for character in text:
        coded = character.encode()
        if len(word) + len(coded) > 45:
            words.append(word)
            word = b""
        word += coded
    return "\n ".join(f"=?utf-8?B?{base64.b64encode(each).decode()}?=" for each in [*words, word])


# --- Tables, lists and text ---


class _Delimited(_Lines):
    header: ClassVar[tuple[str, ...]] = ("วันที่", "ผู้ส่ง", "ช่องทาง", "ห้อง", "ข้อความ")
    mark: ClassVar[str] = "\ufeff"
    delimiter: ClassVar[str] = ","
    newline: ClassVar[str] = "\r\n"
    quoting: ClassVar[Literal[0, 1]] = csv.QUOTE_MINIMAL

    def begin(self) -> None:
        self._row = io.StringIO()
        self._rows = csv.writer(self._row, delimiter=self.delimiter, lineterminator=self.newline, quoting=self.quoting)
        self._put(self.mark + self.delimiter.join(self.header) + self.newline)

    def cells(self, entry: Entry) -> tuple[str, ...]:
        return (entry.sent_at.isoformat(" ")[:19], entry.sender, entry.channel, entry.thread, entry.text)

    def message(self, entry: Entry) -> None:
        self._rows.writerow(self.cells(entry))
        text = self._row.getvalue()
        self._row.seek(0)
        self._row.truncate()
        self._entry(entry, text)


class _Tabs(_Delimited):
    header = ("date", "sender", "channel", "thread", "text")
    mark = ""
    delimiter = "\t"
    newline = "\n"


class _DiscordCsv(_Delimited):
    header = ("AuthorID", "Author", "Date", "Content", "Attachments", "Reactions")
    mark = ""
    quoting = csv.QUOTE_ALL

    def cells(self, entry: Entry) -> tuple[str, ...]:
        at = entry.sent_at.isoformat()
        name = _DISCORD_FILES.get(entry.notice or "")
        address = f"https://cdn.example.com/{name}" if name else ""
        author = str(5000 + sum(map(ord, entry.sender)))
        return (author, entry.sender, f"{at[:19]}.3450000{at[19:]}", entry.text, address, "")

    def notice(self, entry: Entry, kind: str) -> bool:
        if kind in _DISCORD_FILES:
            self.message(entry)
        return kind in _DISCORD_FILES


class _IPhoneTable(_Delimited):
    """Messages of an iPhone as backup tools export them."""

    header = (
        *("Chat Session", "Message Date", "Delivered Date", "Read Date", "Edited Date", "Service", "Type", "Sender ID"),
        *("Sender Name", "Status", "Replying to", "Subject", "Text", "Attachment", "Attachment type"),
    )
    newline = "\n"
    attachments: ClassVar[dict[str, tuple[str, str]]] = {
        "photo": ("IMG_0001.HEIC", "Image"),
        "video": ("IMG_0002.MOV", "Video"),
        "voice": ("Audio Message.caf", "Audio"),
    }

    def cells(self, entry: Entry) -> tuple[str, ...]:
        at = entry.sent_at.isoformat(" ")[:19]
        head = (entry.thread, at, "", at, "", "SMS", "Incoming", entry.sender, "", "Read", "", "")
        return (*head, entry.text, *self.attachments.get(entry.notice or "", ("", "")))

    def notice(self, entry: Entry, kind: str) -> bool:
        if kind in self.attachments:
            self.message(entry)
        return kind in self.attachments


def _fields(entry: Entry) -> dict[str, str]:
    return {
        "text": entry.text,
        "channel": entry.channel,
        "sender": entry.sender,
        "sent_at": entry.sent_at.isoformat(),
        "thread": entry.thread,
    }


class _JsonLines(_Lines):
    def message(self, entry: Entry) -> None:
        self._entry(entry, _json(_fields(entry)) + "\n")


class _Json(_JsonList):
    def opening(self) -> str:
        return "[\n"

    def content(self, entry: Entry, number: int) -> Any:
        return _fields(entry)

    def closing(self) -> str:
        return "\n]\n"


class _Text(_Lines):
    """A message a line: line ends within one become blanks."""

    def message(self, entry: Entry) -> None:
        self._entry(entry, one_line(entry.text) + "\n")


def one_line(text: str) -> str:
    """The text without its line ends."""
    return " ".join(filter(None, map(str.strip, text.split("\n"))))


class _Workbook(_Writer):
    LONGEST_SHEET = 1_048_575  # rows below the header

    def begin(self) -> None:
        import xlsxwriter

        self._file = _waiting_room()
        self._book = xlsxwriter.Workbook(self._file, {"constant_memory": True})
        self._book.set_properties({"created": SAVED.replace(tzinfo=None)})
        self._style = self._book.add_format({"num_format": "dd/mm/yyyy hh:mm:ss"})
        self._new_sheet()

    def _new_sheet(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._rows = 0
        for column, name in enumerate(("date", "sender", "channel", "thread", "text")):
            self._sheet.write_string(0, column, name)

    def message(self, entry: Entry) -> None:
        if self._rows == self.LONGEST_SHEET:
            self._new_sheet()
        self._rows += 1
        self._label(self._rows, entry)
        self._sheet.write_datetime(self._rows, 0, entry.sent_at.replace(tzinfo=None), self._style)
        for column, text in enumerate((entry.sender, entry.channel, entry.thread, entry.text), 1):
            self._sheet.write_string(self._rows, column, text)

    def end(self) -> None:
        self._book.close()
        self._file.seek(0)
        while piece := self._file.read(1 << 20):
            self._out.write(piece)
        self._file.close()


class _Parquet(_Writer):
    def begin(self) -> None:
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        text = pyarrow.string()
        fields = [(name, text) for name in ("text", "channel", "sender")]
        self._schema = pyarrow.schema([*fields, ("sent_at", pyarrow.timestamp("ms", tz="UTC")), ("thread", text)])
        self._batch_of = pyarrow.RecordBatch.from_arrays
        self._array = pyarrow.array
        self._table = ParquetWriter(self._out, self._schema, compression="zstd")
        self._rows: list[tuple[Any, ...]] = []

    def message(self, entry: Entry) -> None:
        self._count(entry)
        at = int(entry.sent_at.timestamp()) * 1000
        self._rows.append((entry.text, entry.channel, entry.sender, at, entry.thread))
        if len(self._rows) == BLOCK:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [self._array(list(values), each.type) for values, each in zip(columns, self._schema, strict=True)]
            self._table.write_batch(self._batch_of(arrays, schema=self._schema))
            self._rows.clear()

    def end(self) -> None:
        self._flush()
        self._table.close()


FORMS: dict[str, Callable[[BinaryIO, Written, Labels | None], _Writer]] = {
    "line": _Line,
    "line-pair": _LineThaiPair,
    "line-english": _LineEnglish,
    "line-old": _LineOld,
    "line-japanese": _LineJapanese,
    "line-spaces": _LineSpaces,
    "line-spaces-english": _LineSpacesEnglish,
    "whatsapp-ios": _IPhone,
    "whatsapp-ios-english": _IPhoneEnglish,
    "whatsapp-android": _Android,
    "whatsapp-android-english": _AndroidEnglish,
    "telegram": _Telegram,
    "telegram-account": _TelegramAccount,
    "facebook": _Facebook,
    "messenger-e2ee": _Messenger,
    "discord": _Discord,
    "discord-csv": _DiscordCsv,
    "sms-xml": _SmsBackup,
    "ios-csv": _IPhoneTable,
    "mbox": _Mailbox,
    "csv": _Delimited,
    "tsv": _Tabs,
    "jsonl": _JsonLines,
    "json": _Json,
    "xlsx": _Workbook,
    "parquet": _Parquet,
    "text": _Text,
}

# How the apps call their files; also the name within a zip.
NAMES = {
    **{form: f"[LINE]{TITLE}.txt" for form in FORMS if form.startswith("line")},
    **{form: "_chat.txt" for form in FORMS if form.startswith("whatsapp-ios")},
    **{form: f"WhatsApp Chat with {TITLE}.txt" for form in FORMS if form.startswith("whatsapp-android")},
    "telegram": "result.json",
    "telegram-account": "result.json",
    "facebook": "message_1.json",
    "messenger-e2ee": f"{TITLE}_7.json",
    "discord": f"{TITLE}.json",
    "discord-csv": f"{TITLE}.csv",
    "sms-xml": "sms-20261004074800.xml",
    "ios-csv": "Messages.csv",
    "mbox": "inbox.mbox",
    "csv": "messages.csv",
    "tsv": "messages.tsv",
    "jsonl": "messages.jsonl",
    "json": "messages.json",
    "xlsx": "messages.xlsx",
    "parquet": "messages.parquet",
    "text": "messages.txt",
}

# Whose messages a format holds; tables hold those of every channel.
CHANNEL_OF: dict[str, str | None] = {
    "sms-xml": "sms",
    "ios-csv": "sms",
    "mbox": "email",
    **dict.fromkeys(("csv", "tsv", "jsonl", "json", "xlsx", "parquet", "text")),
}
CHANNEL_OF |= {form: "chat" for form in FORMS if form not in CHANNEL_OF}
