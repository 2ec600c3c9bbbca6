"""Facebook Messenger and Instagram: `message_*.json` of "Download your information", and the files of the download of
end-to-end encrypted chats.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from ruthan.dumps.json_stream import (
    ITEM,
    Path,
    entries,
    epoch_time,
    joined,
    message_row,
    name_of,
    object_rows,
    objects_in,
    outline,
    string_in,
    wrong_kind,
)
from ruthan.dumps.rows import Notice, Row, Unreadable
from ruthan.message import Source

_HEADERS = frozenset({"participants", "title", "threadName", "thread_path"})
_KEPT = frozenset(
    (
        "sender_name senderName timestamp_ms timestamp content text share type is_unsent isUnsent call_duration "
        "photos videos gifs audio_files files sticker media"
    ).split()
)
_FOLDER = re.compile(
    r"(?:inbox|archived_threads|filtered_threads|message_requests|e2ee_cutover)[/\\]([^/\\]+)[/\\]message_\d+\.json\Z"
)
_MEDIA = {
    "sticker": "sticker",
    "photos": "photo",
    "videos": "video",
    "gifs": "gif",
    "audio_files": "voice",
    "files": "file",
}
_ENDINGS = {
    "photo": "jpg jpeg png webp heic heif bmp",
    "video": "mp4 mov avi mkv webm 3gp",
    "voice": "aac m4a ogg opus wav mp3 amr",
    "gif": "gif",
}

# System texts, whole; a name in them must be that of a participant. A scammer's words must not hide in the free parts:
# a text of several lines or with an address, a handle or a number is a message.
_MAX_SYSTEM_TEXT = 200
_ALONE = re.compile(
    r"(?P<call>You (?:missed a (?:call|video chat|video call) (?:from|with)|called) (?P<name>.{1,100})"
    r"|The (?:video chat|audio call|video call|call) ended|Your video has ended"
    r"|คุณไม่ได้รับสายการโทรด้วย(?:เสียง|วิดีโอ)|(?:การโทร|คุณเริ่มการโทร)ด้วย(?:เสียง|วิดีโอ)(?:สิ้นสุดลงแล้ว)?)"
    r"|(?P<system>Reacted \S{1,20} to your message|Liked a message|This poll is no longer available"
    r"|You are now connected on Messenger"
    r"|You can now message and call each other and see info like Active Status and when you've read messages"
    r"|Say hi to your new Facebook friend, (?P<friend>.{1,100})"
    r"|แสดงความรู้สึก ?\S{1,20} ?ต่อข้อความของคุณ|ถูกใจข้อความ)"
)
_AFTER_NAME = re.compile(
    r"(?:(?P<file>sent an attachment|ส่งไฟล์แนบ)|(?P<photo>sent (?:a photo|\d{1,3} photos))|(?P<video>sent a video)"
    r"|(?P<voice>sent a voice message)|(?P<sticker>sent a sticker)|(?P<gif>sent a GIF)"
    r"|(?P<location>sent a (?:live )?location)"
    r"|(?P<unsent>unsent a message)"
    r"|(?P<call>missed your (?:call|video chat|video call)|called you|joined the (?:call|video chat)"
    r"|started (?:a call|an audio call|a video chat|a video call|sharing video)|stopped sharing video"
    r"|เริ่มการโทรด้วย(?:เสียง|วิดีโอ))"
    r"|(?P<system>reacted \S{1,20} to (?:your|a) message|liked a message|named the group .{1,100}"
    r"|changed the (?:group photo|chat theme|chat colou?rs|theme)(?: to .{1,60})?|set the emoji to \S{1,20}"
    r"|set (?:the nickname for .{1,60}|your nickname|(?:his|her|their|your) own nickname) to .{1,60}"
    r"|(?:added|invited) .{1,100} to the group|removed .{1,100} from the group|left the group|joined the group"
    r"|created the group|(?:added|made) .{1,60} a(?:s a)? group admin|pinned a message"
    r"|wasn't notified about this message because they're in quiet mode))"
)
_LURE = re.compile(r"://|www\.|@|[0-9]{5}|\n")


def read_meta(stream: BinaryIO, file: str) -> Iterator[Row]:
    """The messages of one file of a chat, in its order, which is the newest first; numbered from 1.

    Strings whose UTF-8 was written as Latin-1, as "Download your information" does, are repaired one by one; clean ones
    stay as they are. What was shared stands below the words. A text that Messenger itself wrote, such as
    `You sent an attachment.`, is a notice; where that is in doubt it is a message.

    `thread` is the chat's title if it stands before the messages. "Download your information" puts it behind them: then
    it is the name of the folder where `file` shows that folder to be one of a chat, else None.

    :raises DumpError: there is no list of messages in the file.
    """
    found = entries(
        stream,
        file,
        lambda path: path == ("messages",),
        expected="a download of Messenger or Instagram chats",
        headers=_HEADERS,
        keep=_KEPT.__contains__,
    )
    names = _Names()
    folder = _FOLDER.search(file)
    place = folder[1] if folder else None

    def row(entry: dict[str, Any], source: Source, chat: Mapping[str, Any]) -> Row:
        titles = (name_of(_repaired(chat.get(key))) for key in ("title", "threadName", "thread_path"))
        thread = next((title for title in titles if title), place)
        return _row(entry, source, thread, names.of(chat.get("participants")))

    return object_rows(found, file, row)


def looks_like_meta(head: str) -> bool:
    """Whether a document that begins with `head` (4,000 characters are enough) is a chat of Messenger or Instagram."""
    found = outline(head)
    if found.get(()) != {} or ("guild",) in found or ("channel",) in found:
        return False
    keys = {path[2] for path in found if len(path) == 3 and path[:2] == ("messages", ITEM)}
    if {"sender_name", "timestamp_ms"} <= keys or {"senderName", "isUnsent"} <= keys:
        return True
    return found.get(("participants",)) == [] and _is_chat({path[0] for path in found if path}, keys, found, len(head))


def _is_chat(fields: set[str], keys: set[str], found: dict[Path, Any], length: int) -> bool:
    if "messages" in fields:
        marks = {"threadName", "thread_path", "is_still_participant", "magic_words"}
        return bool(fields & marks or keys & {"sender_name", "senderName", "timestamp_ms", "isUnsent"})
    # The members of a large group can fill all of the beginning.
    members = {path[1:] for path in found if path[:1] == ("participants",)}
    cut = fields == {"participants"} and length >= 3_000
    return "threadName" in fields or (cut and members in ({(), (ITEM,)}, {(), (ITEM,), (ITEM, "name")}))


def _row(entry: dict[str, Any], source: Source, thread: str | None, names: frozenset[str]) -> Row:
    sender = name_of(_repaired(entry.get("sender_name"))) or name_of(_repaired(entry.get("senderName")))
    if entry.get("is_unsent") is True or entry.get("isUnsent") is True:
        return Notice(source, "unsent")
    if fault := wrong_kind(entry, "content", "text"):
        return Unreadable(source, fault)
    kind = entry.get("type")
    if entry.get("call_duration") is not None or kind == "Call":
        return Notice(source, "call")
    if kind in ("Subscribe", "Unsubscribe", "placeholder"):
        return Notice(source, "system")
    words = string_in(_repaired(entry.get("content"))) or string_in(_repaired(entry.get("text")))
    media = _media(entry)
    what = _system_text(words, names, _called(sender))
    if what is not None:
        words = ""
        if what == "file":
            what = media or what
    share = entry.get("share") if isinstance(entry.get("share"), dict) else {}
    shared = [string_in(_repaired(share.get(key))) for key in ("share_text", "link")] if share else []
    return message_row(
        joined([words, *shared]),
        source,
        what or media or "empty",
        sender=sender,
        sent_at=epoch_time(entry.get("timestamp_ms"), 1000) or _time(entry.get("timestamp")),
        thread=thread,
    )


def _time(value: Any) -> str | None:
    """The encrypted download writes milliseconds; the oldest downloads wrote seconds under the same name."""
    return epoch_time(value, 1000) if len(str(value)) > 11 else epoch_time(value)


def _repaired(value: Any) -> Any:
    """A string whose UTF-8 bytes were written as one character each, as it was meant; anything else as it is."""
    if not isinstance(value, str) or value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value


class _Names:
    """The names that may begin a system text, kept as long as the list of participants is the same."""

    def __init__(self) -> None:
        self._participants: Any = None
        self._names: frozenset[str] = frozenset()

    def of(self, participants: Any) -> frozenset[str]:
        """The full and the first names of participants."""
        if participants is not self._participants:
            self._participants = participants
            listed = participants if isinstance(participants, list) else []
            given = [name_of(_repaired(item.get("name") if isinstance(item, dict) else item)) for item in listed]
            self._names = frozenset().union(*(_called(name) for name in given))
        return self._names


def _called(name: str | None) -> frozenset[str]:
    return frozenset({"You", "คุณ", name, name.split()[0]}) if name else frozenset({"You", "คุณ"})


def _system_text(text: str, names: frozenset[str], called: frozenset[str]) -> str | None:
    """What a text that Messenger itself wrote tells of; None for a sender's words and wherever there is doubt."""
    text = text.strip()
    if not text or len(text) > _MAX_SYSTEM_TEXT or _LURE.search(text):
        return None
    text = text.removesuffix(".")
    if alone := _ALONE.fullmatch(text):
        name = alone["name"] or alone["friend"]
        return alone.lastgroup if name is None or name in names or name in called else None
    for length in (word.end() for word in re.finditer(r"\S+", text)):
        if (text[:length] in names or text[:length] in called) and (
            rest := _AFTER_NAME.fullmatch(text[length:].lstrip())
        ):
            return rest.lastgroup
    # Thai writes no blank between the subject and the verb.
    if text.startswith("คุณ") and (rest := _AFTER_NAME.fullmatch(text.removeprefix("คุณ"))):
        return rest.lastgroup
    return None


def _media(entry: dict[str, Any]) -> str | None:
    for key, what in _MEDIA.items():
        if entry.get(key):
            return what
    for item in objects_in(entry.get("media")):
        ending = string_in(item.get("uri")).rpartition(".")[2].casefold()
        return next((what for what, endings in _ENDINGS.items() if ending in endings.split()), "media")
    return None
