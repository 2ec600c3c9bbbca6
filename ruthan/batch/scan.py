"""Scan whole dumps: messages in, one row of results for each out, in order and in bounded memory."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Any

from ruthan.batch.near_duplicates import template_id
from ruthan.masking import mask
from ruthan.message import Message
from ruthan.policy import channel_name
from ruthan.scanner import Memory, Scanner
from ruthan.verdict import Verdict

CHUNK = 512  # messages that are looked at together
CHUNK_CHARACTERS = 1_000_000  # after which a chunk is closed: a dump may hold nothing but messages of megabytes
REMEMBERED = 20_000  # texts whose whole row is kept at hand; of others the model is remembered, see `memory`
REMEMBERED_CHARACTERS = 10_000  # of a text, beyond which its row is not kept


@dataclass(frozen=True)
class Scanned:
    """A message and its row of results, a dictionary ready for JSON (docs/scanning.md describes its fields)."""

    message: Message
    row: dict[str, Any]


class RowScanner:
    """Makes rows of messages; an exact repeat costs a look-up."""

    def __init__(self, scanner: Scanner, memory: Memory, with_text: bool = False) -> None:
        """:param with_text: put text, sender and thread into the rows; without it the sender is only a pseudonym. Where
        the scanner masks, the text is masked too, and sender and thread stay out.
        """
        self._scanner, self._memory, self._with_text = scanner, memory, with_text
        self._known: OrderedDict[bytes, dict[str, Any]] = OrderedDict()

    def scan(self, messages: Iterable[Message]) -> Iterator[Scanned]:
        """Every message with its row, in the order they come; no more than `CHUNK` of them are held at a time, nor more
        than `CHUNK_CHARACTERS` and one.
        """
        chunk: list[Message] = []
        characters = 0
        for message in messages:
            chunk.append(message)
            characters += sum(len(each) for each in (message.text, message.sender, message.thread) if each)
            if len(chunk) == CHUNK or characters > CHUNK_CHARACTERS:
                yield from self._chunk(chunk)
                chunk, characters = [], 0
        yield from self._chunk(chunk)

    def _chunk(self, chunk: list[Message]) -> Iterator[Scanned]:
        keys = [_key(self._scanner, message) for message in chunk]
        new = {key: message for key, message in zip(keys, chunk, strict=True) if key not in self._known}
        verdicts = self._scanner.scan_many(new.values(), memory=self._memory)
        for key, message, verdict in zip(new, new.values(), verdicts, strict=True):
            self._known[key] = _common(message.text, verdict, self._scanner.mask, self._with_text)
        named = self._with_text and not self._scanner.mask
        for key, message in zip(keys, chunk, strict=True):
            self._known.move_to_end(key)
            yield Scanned(message, _row(message, self._known[key], named))
        for key, message in new.items():
            if len(message.text) > REMEMBERED_CHARACTERS:
                del self._known[key]
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def pseudonym(sender: str) -> str:
    """Twelve hexadecimal digits that stand for a sender: the same ones always, so that his messages can be counted.

    Whoever has a list of numbers can find them out: it hides a name from the eye, and is no anonymity.
    """
    return sha256(sender.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _key(scanner: Scanner, message: Message) -> bytes:
    """What a verdict hangs on: the text, and the channel where the policy has thresholds for it."""
    channel = channel_name(message.channel)
    place = channel if channel in scanner.policy.channels else ""
    return blake2b(f"{place}\n{message.text}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _common(text: str, verdict: Verdict, masked: bool, with_text: bool) -> dict[str, Any]:
    """What the rows of all copies of a text share."""
    row = verdict.to_dict()
    row.pop("source", None)
    message = {
        "id": sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16],
        "template": template_id(text),
    }
    if with_text:
        message["text"] = mask(text) if masked else text
    row["message"] = message
    return row


def _row(message: Message, common: dict[str, Any], named: bool) -> dict[str, Any]:
    sender = message.sender if named or message.sender is None else pseudonym(message.sender)
    known = {
        "channel": message.channel,
        "sender": sender,
        "sent_at": message.sent_at,
        "thread": message.thread if named else None,
    }
    result = dict(common)
    if message.source:
        result["source"] = {"file": message.source.file, "line": message.source.line}
    result["message"] = common["message"] | {name: value for name, value in known.items() if value is not None}
    return result
