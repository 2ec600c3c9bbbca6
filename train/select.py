"""Choose from a dump the texts that are most worth a person's label.

python -m train select inbox.csv --most 200 --out select.csv

A text is worth more the less sure the model is, by how near its risk is to 0.5 (uncertainty sampling: Lewis and Gale,
1994, "A sequential algorithm for training text classifiers"), and the less it is like what the corpus has already:
worth = (1 - |2 risk - 1|) (1 - the best Jaccard similarity of 5-grams), 0 to 1.

Of texts that are nearly the same only the worthiest is proposed, and the predicted classes take turns as parties do
for seats (D'Hondt: worth / (1 + texts of that class so far)), so that no one campaign or class fills the list.

Memory: the corpus, its index and its digests; a digest of 8 bytes for every distinct text that was read (about 100
bytes as Python keeps it); and of each class at most four times as many texts as are asked for. Never the dump.
"""

import re
import unicodedata
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from ruthan.dumps.reading import read_dump
from ruthan.dumps.rows import Notice, Unreadable
from ruthan.message import Message
from ruthan.scanner import BATCH, Scanner
from train.corpus.add import NEAR
from train.corpus.identifiers import slotted, written_identifiers
from train.corpus.near_duplicates import NearDuplicateIndex, clusters, text_digest
from train.corpus.records import CHANNELS, LONGEST_TEXT, Record
from train.corpus.spreadsheet import write_table
from train.errors import ConfigError
from train.slots import SLOT

ALIKE = 0.35  # Jaccard; what is less like anything in the corpus counts as wholly new
COLUMNS = ("text", "label", "kind", "lang", "channel", "why", "risk", "suggested")

_SCRIPTS = {
    "th": re.compile("[\u0e00-\u0e7f]"),
    "lo": re.compile("[\u0e80-\u0eff]"),
    "my": re.compile("[\u1000-\u109f]"),
    "km": re.compile("[\u1780-\u17ff]"),
    "zh": re.compile("[\u3400-\u4dbf\u4e00-\u9fff]"),
}
_VIETNAMESE = re.compile("[\u0103\u0111\u01a1\u01b0\u1ea0-\u1ef9]", re.I)  # ă đ ơ ư and the vowels with two marks


@dataclass(frozen=True)
class Proposal:
    """A text to label.

    :param risk: the model's, 0 to 1; `suggested` is its class.
    :param alike: Jaccard similarity to the `nearest` text of the corpus, by id; 0 and empty if below `ALIKE`.
    """

    text: str
    lang: str
    channel: str
    risk: float
    suggested: str
    alike: float
    nearest: str

    @property
    def worth(self) -> float:
        """How much a label would teach, 0 to 1."""
        return uncertainty(self.risk) * (1 - self.alike)

    @property
    def why(self) -> str:
        """Why it is proposed, for the person who labels it."""
        known = f"{self.alike:.0%} like {self.nearest}" if self.nearest else "nothing like it in the corpus"
        rest = next(written_identifiers(slotted(self.text)[0]), None)
        mend = f"; write a slot such as {{phone}} for its {rest[0]}" if rest else ""  # else `add` refuses it
        return f"risk {self.risk:.2f}; {known}{mend}"


@dataclass(frozen=True)
class Selection:
    """The proposals, the worthiest first; how many texts were read; how many were left out, by reason."""

    proposals: list[Proposal]
    read: int
    left_out: Counter[str]


def uncertainty(risk: float) -> float:
    """1 at a risk of 0.5, down to 0 at 0 and at 1."""
    return 1 - abs(2 * risk - 1)


def guess_language(text: str) -> str:
    """The language of a text by its script alone, `th` where that says nothing; Latin is `en` or `vi`."""
    bare = unicodedata.normalize("NFC", SLOT.sub(" ", text))
    counts = {language: len(script.findall(bare)) for language, script in _SCRIPTS.items()}
    language = max(counts, key=lambda name: counts[name])
    if counts[language] or not re.search("[A-Za-z]", bare):
        return language
    return "vi" if _VIETNAMESE.search(bare) else "en"


def select(
    dumps: Iterable[str],
    scanner: Scanner,
    corpus: Sequence[Record],
    held_out: frozenset[str],
    most: int,
    column: str | None = None,
) -> Selection:
    """Propose at most `most` texts of the dumps.

    Left out are texts whose letters stand in the corpus, were read before or are `held_out` (digests), with their
    identifiers or with slots for them, and those that no corpus could take. `column` names the column of the text.

    :raises DumpError: a dump cannot be read, or has no such column.
    :raises ConfigError: `most` is below 1.
    """
    if most < 1:
        raise ConfigError(f"--most is {most}; expected at least 1")
    index = NearDuplicateIndex(ALIKE)
    for record in corpus:
        index.add(record.text)
    reader = _Reader({_digest(record.text) for record in corpus}, frozenset(map(bytes.fromhex, held_out)))
    pools: defaultdict[str, _Pool] = defaultdict(lambda: _Pool(2 * most))
    fresh = reader.messages(dumps, column)
    while batch := list(islice(fresh, BATCH)):
        for message, verdict in zip(batch, scanner.scan_many(batch), strict=True):
            pool = pools[verdict.label]
            if uncertainty(verdict.risk) <= pool.floor:  # however new it is; looking that up takes time
                continue
            bare = slotted(message.text)[0]
            [(number, alike)] = index.find(bare)[:1] or [(-1, 0.0)]
            pool.offer(
                Proposal(
                    text=message.text,
                    lang=guess_language(bare),
                    channel=message.channel if message.channel in CHANNELS else "",
                    risk=verdict.risk,
                    suggested=verdict.label,
                    alike=alike,
                    nearest=corpus[number].id if alike else "",
                )
            )
    candidates = _distinct(each for label in sorted(pools) for each in pools[label].proposals)
    return Selection(_spread(candidates, most), reader.read, reader.left_out)


def write_selection(path: Path, proposals: Iterable[Proposal]) -> None:
    """Write the proposals as a table whose columns `label` and `kind` a person fills in.

    `python -m train.corpus add` reads it back. For texts that look like formulas see `train.corpus.spreadsheet`.

    :raises CorpusError: it cannot be written.
    """
    write_table(path, COLUMNS, map(_row, proposals))


def _row(proposal: Proposal) -> dict[str, Any]:
    content = {column: getattr(proposal, column, "") for column in COLUMNS}
    return content | {"risk": round(proposal.risk, 4)}


def _digest(text: str) -> bytes:
    return bytes.fromhex(text_digest(text))


class _Reader:
    """Reads the messages that may be proposed, each once, and counts the rest by reason."""

    def __init__(self, known: set[bytes], held_out: frozenset[bytes]) -> None:
        self.read = 0
        self.left_out: Counter[str] = Counter()
        self._known, self._held_out = known, held_out
        self._seen: set[bytes] = set()

    def messages(self, dumps: Iterable[str], column: str | None) -> Iterator[Message]:
        for path in dumps:
            for row in read_dump(path, column):
                if isinstance(row, Notice):
                    continue
                self.read += 1
                reason = "cannot be read" if isinstance(row, Unreadable) else self._unwanted(row.text)
                if isinstance(row, Unreadable) or reason:
                    self.left_out[reason] += 1
                else:
                    yield row

    def _unwanted(self, text: str) -> str:
        """Why a text is not proposed; empty if it may be."""
        if reason := _unfit(text):
            return reason
        bare = _digest(slotted(text)[0])
        digests = {bare, _digest(text)}
        if digests & self._held_out:
            return "held out for judging"
        if digests & self._known:
            return "in the corpus already"
        if bare in self._seen:
            return "repeated"
        self._seen.add(bare)
        return ""


def _unfit(text: str) -> str:
    """Why no corpus could take a text, or nobody say what it is; empty if they can."""
    if len(text) > LONGEST_TEXT:
        return f"over {LONGEST_TEXT:,} characters"
    if not any(map(str.isalpha, text)):
        return "without a letter"
    if "\x00" in text or text != text.encode("utf-8", "ignore").decode():
        return "holds half a character or a null"
    return ""


class _Pool:
    """The worthiest proposals of one class, one of each near-duplicate cluster; never more than twice `size`.

    `floor` is the worth that a new one must exceed.
    """

    def __init__(self, size: int) -> None:
        self.proposals: list[Proposal] = []
        self.floor = -1.0
        self._size = size

    def offer(self, proposal: Proposal) -> None:
        """Take it in; now and then drop what is no longer among the worthiest."""
        if proposal.worth <= self.floor:
            return
        self.proposals.append(proposal)
        if len(self.proposals) == 2 * self._size:
            self.proposals = _distinct(self.proposals)[: self._size]
            if len(self.proposals) == self._size:
                self.floor = self.proposals[-1].worth


def _distinct(proposals: Iterable[Proposal]) -> list[Proposal]:
    """The worthiest of each cluster of near-duplicates, the worthiest first."""
    ranked = sorted(proposals, key=lambda each: -each.worth)
    first = clusters([slotted(each.text)[0] for each in ranked], NEAR)
    return [each for at, each in enumerate(ranked) if first[at] == at]


def _spread(ranked: Iterable[Proposal], most: int) -> list[Proposal]:
    """At most `most` of the proposals, spread over their classes by D'Hondt's rule, the worthiest first."""
    queues: defaultdict[str, deque[Proposal]] = defaultdict(deque)
    for proposal in ranked:
        queues[proposal.suggested].append(proposal)
    taken: Counter[str] = Counter()
    chosen: list[Proposal] = []
    while len(chosen) < most and any(queues.values()):
        label = max(
            (label for label in queues if queues[label]), key=lambda label: queues[label][0].worth / (1 + taken[label])
        )
        chosen.append(queues[label].popleft())
        taken[label] += 1
    return sorted(chosen, key=lambda each: -each.worth)
