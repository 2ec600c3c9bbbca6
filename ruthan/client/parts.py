"""Cuts a stream of messages into requests that the service takes."""

import json
from typing import Any

from ruthan.client.replies import ItemError, Limits
from ruthan.errors import MessageError
from ruthan.message import Message

EXPLAINED = 10  # times as many characters as explained ones a request may hold, of those that are not explained
FRAME = 32  # bytes around the messages of a request, at most

Part = list[bytes | ItemError]
"""Messages of one request, in order, as they are sent; in place of one that cannot be sent, why."""


def encoded(value: Any) -> bytes:
    """JSON in UTF-8; half an emoji, which UTF-8 cannot hold and phones do send, as a JSON escape."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "backslashreplace")


def fields_of(message: str | Message, channel: str | None = None) -> dict[str, str]:
    """A message as the service takes it.

    :raises MessageError: it is neither a text nor a `Message`.
    """
    given = message if isinstance(message, Message) else Message(message, channel=channel)
    channel = given.channel or channel
    if not isinstance(given.text, str):
        raise MessageError(f"a message is a text or a ruthan Message, not {type(given.text).__name__}")
    if not isinstance(channel, str | None):
        raise MessageError(f"the channel of a message is its name or None, not {type(channel).__name__}")
    return {"text": given.text} if channel is None else {"text": given.text, "channel": channel}


class Parts:
    """Collects messages until one more would be too many for a request: by number, by characters, or by bytes.

    `most` and `most_bytes` are lowered where a request turns out to have been too much. `late` counts the messages in
    a row that were sent alone and had no verdict in time.
    """

    def __init__(self, limits: Limits, explain: bool) -> None:
        self.most = limits.max_batch_explained if explain else limits.max_batch
        self.most_bytes = limits.max_body_bytes
        self.late = 0
        self._most_characters = limits.max_batch_characters // (EXPLAINED if explain else 1)
        self._limits = limits
        self._begin()

    def add(self, message: str | Message) -> Part | None:
        """Take a message; the part before it, if there is no room for it there."""
        try:
            entry, characters = self._entry(message)
        except MessageError as error:
            entry, characters = ItemError(str(error)), 0
        size = len(entry) + 1 if isinstance(entry, bytes) else 0
        full = self._part and (
            len(self._part) >= self.most
            or self._characters + characters > self._most_characters
            or self._bytes + size > self.most_bytes
        )
        before = self.rest() if full else None
        self._part.append(entry)
        self._characters += characters
        self._bytes += size
        return before

    def rest(self) -> Part:
        """What was collected and not yet given."""
        part = self._part
        self._begin()
        return part

    def _begin(self) -> None:
        self._part: Part = []
        self._characters, self._bytes = 0, FRAME

    def _entry(self, message: str | Message) -> tuple[bytes | ItemError, int]:
        content = fields_of(message)
        characters, most = len(content["text"]), self._limits.max_text_length
        if characters > most:
            return ItemError(f"the text has {characters:,} characters; send at most {most:,}, or in parts"), 0
        entry = encoded(content)
        if len(entry) + FRAME > self._limits.max_body_bytes:
            return ItemError(f"the text has {len(entry):,} bytes; send at most {self._limits.max_body_bytes:,}"), 0
        return entry, characters
