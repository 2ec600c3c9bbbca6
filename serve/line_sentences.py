"""What the LINE bot says: the sentences of a verdict, and those of `data/line_replies.yaml` around them."""

import re
from functools import cache
from pathlib import Path

from ruthan.errors import DataError
from ruthan.evidence.reference import hotlines
from ruthan.resources import read_yaml, shipped
from ruthan.taxonomy import BENIGN
from ruthan.verdict import Verdict

TRAFFICKING = "trafficking"
LONGEST = 5_000  # UTF-16 code units of a reply, as LINE counts


class Sentences:
    """The sentences of `data/line_replies.yaml`, checked once."""

    def __init__(self, path: Path) -> None:
        """:raises DataError: the file cannot be used, or lacks a sentence."""
        content = read_yaml(path)
        found = content if isinstance(content, dict) else {}
        if lacking := [name for name in _NAMES if not isinstance(found.get(name), str)]:
            raise DataError(f"{path} has no sentence {lacking[0]}")
        self._said: dict[str, str] = {}
        for name in _NAMES:
            if unknown := [number for number in _NUMBER.findall(found[name]) if number not in hotlines()]:
                raise DataError(f"{path} names {unknown[0]}, which is no hotline of data/public_contacts.yaml")
            self._said[name] = _NUMBER.sub(r"\1", found[name])

    def __getitem__(self, name: str) -> str:
        return self._said[name]

    def of_verdict(self, verdict: Verdict) -> str:
        """What to tell of a verdict: what the message looks like, why, what to do, and whom to call."""
        if verdict.needs_help:
            # A demand for money in somebody's name is answered too, in words that name nobody's plight.
            asks = verdict.label not in (BENIGN, TRAFFICKING)
            return f"{self['needs_help']}\n\n{self['hold_money']}" if asks else self["needs_help"]
        said = [_DOMAIN.sub("[.]", each) for each in verdict.reasons]  # apps would make a link of it
        if verdict.action == "allow":
            said.append(self["allowed"])
        else:
            said.insert(0, self[verdict.action])
        if verdict.advice:
            said += ["", self["advice"], *(f"• {each}" for each in verdict.advice)]
        return shortened("\n".join([*said, "", self["footer"]]))


_NAMES = tuple("block review advice allowed footer needs_help hold_money follow join no_text too_long busy".split())
_DOMAIN = re.compile(r"(?<=[a-zA-Z0-9-])\.(?=[a-zA-Z]{2})")  # the full stops in one
_NUMBER = re.compile(r"\{(\d+)\}")


@cache
def default_sentences() -> Sentences:
    """The sentences that ship with ruthan."""
    return Sentences(shipped("data", "line_replies.yaml"))


def shortened(text: str, longest: int = LONGEST) -> str:
    """A text of no more UTF-16 code units than LINE takes.

    >>> shortened("กขค😀", 4)
    'กขค…'
    """
    units = text.encode("utf-16-le", "surrogatepass")  # a verdict may quote half an emoji, which no reply can hold
    if len(units) <= longest * 2:
        return units.decode("utf-16-le", "replace")
    return f"{units[: (longest - 1) * 2].decode('utf-16-le', 'ignore')}…"
