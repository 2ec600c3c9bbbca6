"""What the engine takes and gives."""

import hashlib
import json
from dataclasses import dataclass

from ruthan.message import Message
from ruthan.policy import channel_name
from ruthan.verdict import Verdict
from serve.engine.models import Loaded


@dataclass(frozen=True)
class Item:
    """A message to judge."""

    text: str
    channel: str | None = None

    @property
    def message(self) -> Message:
        """The message as the scanner takes it."""
        return Message(self.text, channel=self.channel)

    @property
    def place(self) -> str:
        """The channel as policies write it."""
        return channel_name(self.channel)


@dataclass(frozen=True)
class Answer:
    """A verdict, ready to send.

    :param body: the verdict as JSON in UTF-8; half characters as JSON escapes.
    :param text_digest: SHA-256 of the text, in hexadecimal.
    :param loaded: the model and the policy that judged.
    :param cached: it was remembered.
    """

    body: bytes
    text_digest: str
    label: str
    action: str
    risk: float
    loaded: Loaded
    cached: bool = False


def answer_of(verdict: Verdict, text_digest: str, loaded: Loaded) -> Answer:
    """The answer that carries a verdict."""
    body = json.dumps(verdict.to_dict(), ensure_ascii=False, separators=(",", ":"))
    return Answer(
        body.encode("utf-8", "backslashreplace"), text_digest, verdict.label, verdict.action, verdict.risk, loaded
    )


def digest_of(text: str) -> str:
    """SHA-256 of a text, in hexadecimal; its first 16 digits are the id of the message."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
