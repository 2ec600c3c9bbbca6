"""Telegram Desktop's `result.json`: one chat, or the whole account."""

from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from ruthan.dumps.json_stream import (
    ITEM,
    Path,
    entries,
    epoch_time,
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

_LISTS = frozenset({("messages",), *((chats, "list", ITEM, "messages") for chats in ("chats", "left_chats"))})
_KEPT = frozenset(
    (
        "type date date_unixtime from from_id author text text_entities inline_bot_buttons poll todo_list game_title "
        "game_description game_link invoice_information media_type photo file location_information place_name "
        "contact_information"
    ).split()
)
_CHAT_TYPES = frozenset(
    (
        "personal_chat bot_chat saved_messages private_group private_supergroup public_supergroup private_channel "
        "public_channel replies verify_codes"
    ).split()
)
_MEDIA = {
    "sticker": "sticker",
    "animation": "gif",
    "video_file": "video",
    "video_message": "video",
    "voice_message": "voice",
    "audio_file": "audio",
}
_OTHER_MEDIA = {
    "photo": "photo",
    "location_information": "location",
    "place_name": "location",
    "contact_information": "contact",
    "file": "file",
}
_ADDRESS_BUTTONS = frozenset({"url", "auth", "web_view", "simple_web_view", "copy_text"})


def read_telegram(stream: BinaryIO, file: str) -> Iterator[Row]:
    """The messages of every chat in the file, in its order; numbered from 1 through all chats.

    The text is all that a reader of the chat sees as words, one below the other: the message, a poll with its options,
    a list of tasks, a game or an invoice, and the buttons of bots. An address that hides behind other words, of a
    `text_link` or a button, is written behind them in brackets: `ดูที่นี่ (https://example.com/a)`.

    `sent_at` is exact from `date_unixtime`; older exports have only local time without zone, taken as Bangkok's.
    `sender` is `from`, or `from_id` of an account that was deleted. `thread` is the chat's name, or its id if it has no
    name; it stands before the messages in real exports, and where it comes after them `thread` stays None.

    :raises DumpError: there is no list of messages in the file.
    """
    found = entries(
        stream,
        file,
        _LISTS.__contains__,
        expected="an export of Telegram Desktop",
        headers=frozenset({"name", "id"}),
        keep=_KEPT.__contains__,
    )
    return object_rows(found, file, _row)


def looks_like_telegram(head: str) -> bool:
    """Whether a document that begins with `head` (4,000 characters are enough) is an export of Telegram Desktop."""
    found = outline(head)
    if any((key,) in found for key in ("guild", "channel", "participants", "threadName")) or found.get(()) != {}:
        return False
    for place in _LISTS:
        keys = _keys(found, (*place, ITEM))
        if keys & {"sender_name", "senderName"}:
            return False
        if {"date", "type"} <= keys and keys & {"date_unixtime", "from_id", "actor_id", "text_entities"}:
            return True
    if ("messages",) in found:
        return found.get(("type",)) in _CHAT_TYPES
    if _is_chat(found, ()) or any(_is_chat(found, (chats, "list", ITEM)) for chats in ("chats", "left_chats")):
        return True
    # A whole account begins with a greeting, the owner and the contacts; the chats may come later than `head` ends.
    about = found.get(("about",))
    return isinstance(about, str) and about.startswith("Here is the data you requested") and "Telegram" in about


def _keys(found: dict[Path, Any], parent: Path) -> set[str]:
    return {path[-1] for path in found if path[:-1] == parent and path}


def _is_chat(found: dict[Path, Any], place: Path) -> bool:
    return found.get((*place, "type")) in _CHAT_TYPES and (*place, "id") in found


def _row(entry: dict[str, Any], source: Source, chat: Mapping[str, Any]) -> Row:
    if fault := wrong_kind(entry, "text", kinds=(str, list, dict)):
        return Unreadable(source, fault)
    words = _words(entry)
    kind = entry.get("type")
    if kind == "service" and not words:
        return Notice(source, "system")
    return message_row(
        words,
        source,
        "unsupported" if kind == "unsupported" else _media(entry),
        sender=name_of(entry.get("from")) or name_of(entry.get("from_id")) or name_of(entry.get("author")),
        sent_at=epoch_time(entry.get("date_unixtime")) or iso_time(entry.get("date")),
        thread=name_of(chat.get("name")) or _identifier(chat.get("id")),
    )


def _identifier(value: Any) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else name_of(value)


def _words(entry: dict[str, Any]) -> str:
    parts = [_text(entry.get("text")) or _text(entry.get("text_entities"))]
    for title, items in (("poll", "answers"), ("todo_list", "items"), ("todo_list", "answers")):
        if isinstance(questions := entry.get(title), dict):
            parts += [_text(questions.get("question")), _text(questions.get("title"))]
            parts += [_text(item.get("text") or item.get("title")) for item in objects_in(questions.get(items))]
    parts += [string_in(entry.get(key)) for key in ("game_title", "game_description", "game_link")]
    if isinstance(invoice := entry.get("invoice_information"), dict):
        parts += [string_in(invoice.get("title")), string_in(invoice.get("description"))]
    rows = entry.get("inline_bot_buttons")
    for row in rows if isinstance(rows, list) else []:
        parts += [_button(button) for button in objects_in(row)]
    return joined(parts)


def _text(value: Any) -> str:
    """A string, or a list of strings and of objects with a text, as one string."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return _with_address(_text(value.get("text")), string_in(value.get("href")))
    return "".join(_text(piece) for piece in value) if isinstance(value, list) else ""


def _button(button: dict[str, Any]) -> str:
    address = string_in(button.get("data"))
    if button.get("type") not in _ADDRESS_BUTTONS and "://" not in address:
        address = ""  # what a bot gets to hear when the button is pressed; nobody reads it
    return _with_address(string_in(button.get("text")), address)


def _with_address(words: str, address: str) -> str:
    if not address or address in words:
        return words
    return f"{words} ({address})" if words.strip() else address


def _media(entry: dict[str, Any]) -> str:
    kind = entry.get("media_type")
    if isinstance(kind, str) and kind in _MEDIA:
        return _MEDIA[kind]
    return next((what for key, what in _OTHER_MEDIA.items() if entry.get(key)), "empty")
