"""Discord: the JSON of DiscordChatExporter, and `messages.json` of Discord's own data package.

Their CSV is a table, see ruthan/dumps/delimited.py.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from typing import Any, BinaryIO

from ruthan.dumps.json_stream import (
    ITEM,
    entries,
    iso_time,
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

_KEPT = frozenset(
    (
        "type timestamp content author authorId attachments embeds stickers forwardedMessage "  # DiscordChatExporter
        "Timestamp Contents Attachments"  # the data package
    ).split()
)
# Besides these a type that the exporter has no name for is a number: 20 and more are words of bots and people, below
# are notices of the server.
_WORDS = frozenset({"Default", "Reply", "ChatInputCommand", "ContextMenuCommand", "ThreadStarterMessage"})
_PACKAGE_FOLDER = re.compile(r"(?:\A|[/\\!])(c?[0-9]{5,25})[/\\]messages\.json\Z")
_ENDINGS = {
    "photo": "jpg jpeg png webp heic bmp",
    "video": "mp4 mov avi mkv webm",
    "voice": "ogg opus m4a mp3 wav",
    "gif": "gif",
}


def read_discord(stream: BinaryIO, file: str) -> Iterator[Row]:
    """The messages of one channel, in the file's order; numbered from 1.

    The text is the content and below it what was forwarded and the embeds of bots (title, address, description and
    fields). Notices of the server (joined, pinned, called ...), which the exporter writes as English sentences, are
    notices here.

    `sender` is the author's name. `thread` is `server / channel`, or the channel alone of direct messages; in a data
    package, which holds only what its owner wrote and so no senders, it is the folder's name where `file` shows it. A
    time without zone, which only data packages have, is UTC.

    :raises DumpError: there is no list of messages in the file.
    """
    found = entries(
        stream,
        file,
        lambda path: path in ((), ("messages",)),
        expected="an export of DiscordChatExporter or messages.json of a Discord data package",
        headers=frozenset({"guild", "channel"}),
        keep=_KEPT.__contains__,
    )
    folder = _PACKAGE_FOLDER.search(file)
    place = folder[1] if folder else None

    def row(entry: dict[str, Any], source: Source, channel: Mapping[str, Any]) -> Row:
        return _row(entry, source, _thread(channel) or place)

    return object_rows(found, file, row)


def looks_like_discord(head: str) -> bool:
    """Whether a document that begins with `head` (4,000 characters are enough) is an export of Discord messages."""
    found = outline(head)
    if found.get(()) == []:
        keys = {path[1] for path in found if len(path) == 2 and path[0] == ITEM}
        return {"ID", "Timestamp"} <= keys <= {"ID", "Timestamp", "Contents", "Attachments"} and (
            "Contents" in keys or len(head) >= 3_000
        )
    guild, channel = found.get(("guild",)) == {}, found.get(("channel",)) == {}
    message = ("messages", ITEM)
    if guild and channel:
        exporter = [("exportedAt",), ("dateRange",), ("guild", "iconUrl"), (*message, "author")]
        return any(mark in found for mark in exporter) or (("guild", "id") in found and ("channel", "id") in found)
    if guild and ("messages",) not in found:
        return ("guild", "id") in found and ("guild", "iconUrl") in found
    return (guild or channel) and all((*message, key) in found for key in ("content", "author", "timestamp"))


def _thread(about: Mapping[str, Any]) -> str | None:
    guild, channel = about.get("guild"), about.get("channel")
    place = name_of(channel.get("name")) or name_of(channel.get("id")) if isinstance(channel, dict) else None
    if isinstance(guild, dict) and guild.get("id") != "0" and (server := name_of(guild.get("name"))):
        return f"{server} / {place}" if place else server
    return place


def _row(entry: dict[str, Any], source: Source, thread: str | None) -> Row:
    kind = entry.get("type")
    if isinstance(kind, str) and not (kind in _WORDS or (kind.isdecimal() and len(kind) < 5 and int(kind) >= 20)):
        return Notice(source, "call" if kind == "Call" else "system")
    if fault := wrong_kind(entry, "content", "Contents"):
        return Unreadable(source, fault)
    forwarded = entry.get("forwardedMessage")
    author = entry.get("author")
    about = author if isinstance(author, dict) else {"id": entry.get("authorId")}
    return message_row(
        joined(
            [
                string_in(entry.get("content")) or string_in(entry.get("Contents")),
                *_embeds(entry),
                *([string_in(forwarded.get("content")), *_embeds(forwarded)] if isinstance(forwarded, dict) else []),
            ]
        ),
        source,
        _media(entry) or (_media(forwarded) if isinstance(forwarded, dict) else None) or "empty",
        sender=next((name for key in ("name", "nickname", "id") if (name := name_of(about.get(key)))), None),
        sent_at=iso_time(entry.get("timestamp") or entry.get("Timestamp"), UTC),
        thread=thread,
    )


def _embeds(entry: dict[str, Any]) -> Iterable[str]:
    for embed in objects_in(entry.get("embeds")):
        yield from (string_in(embed.get(key)) for key in ("title", "url", "description"))
        for pair in objects_in(embed.get("fields")):
            yield from (string_in(pair.get(key)) for key in ("name", "value"))


def _media(entry: dict[str, Any]) -> str | None:
    if entry.get("stickers"):
        return "sticker"
    for attachment in objects_in(entry.get("attachments")):
        return _kind(string_in(attachment.get("fileName")) or string_in(attachment.get("url")))
    addresses = string_in(entry.get("Attachments")).split(maxsplit=1)
    if addresses:
        return _kind(addresses[0].partition("?")[0])
    return "photo" if objects_in(entry.get("embeds")) else None


def _kind(file_name: str) -> str:
    ending = file_name.rpartition(".")[2].casefold()
    return next((kind for kind, endings in _ENDINGS.items() if ending in endings.split()), "file")
