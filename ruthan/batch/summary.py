"""Count what a batch scan found, row by row; memory does not grow with the number of messages."""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from typing import Any

from ruthan.dumps.dates import BANGKOK, parse_time
from ruthan.policy import channel_name
from ruthan.taxonomy import BENIGN

TRAFFICKING = "trafficking"
TOP = 20  # riskiest messages that are kept
FIRST = 50  # messages that need help, and rows that could not be read, that are kept
KEPT_CHARACTERS = 4_000  # of a kept text
KEPT_EVIDENCE = 200  # of a kept message
INDICATORS, CONTACTS = 10_000, 2_000  # different ones that are counted exactly
VALUE_CHARACTERS = 2_000  # of an indicator
DISTINCT = 65_536  # different texts that are counted exactly
NAMES = 60  # different channels, notices, reasons, models or policies that are counted each by itself
OTHERS = "…"  # those beyond
MOST = {"day": 400, "month": 600}  # entries of a timeline; beyond, it is kept in the next longer unit
_LENGTH = {"day": 10, "month": 7, "year": 4}  # of an ISO date that names the unit
# What is no lead: hotlines are official, and sums are no identifiers.
_NO_LEADS = frozenset({"hotline", "money"})
CONTACT_TYPES = frozenset({"phone", "line_id", "telegram", "whatsapp", "facebook", "email", "url", "promptpay"})


class Names:
    """Counts names that a dump chooses freely: each of the first `NAMES` by itself, all others as `OTHERS`."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> str:
        """Count a name; returns the one that it was counted as."""
        name = name[:100]
        kept = name if name in self._counts or len(self._counts) < NAMES else OTHERS
        self._counts[kept] += 1
        return kept

    def most_common(self) -> list[tuple[str, int]]:
        """Names with their counts, most frequent first."""
        return sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))

    def total(self) -> int:
        """How many were counted."""
        return self._counts.total()


class Distinct:
    """How many different values there were: exact up to `DISTINCT`, from there on estimated from the smallest hashes,
    with a standard error of 0.4%.
    """

    def __init__(self, kept: int = DISTINCT) -> None:
        self._most = kept
        self._hashes: set[int] = set()
        self._largest: list[int] = []  # a heap of the negated hashes
        self.exact = True

    def add(self, value: str) -> None:
        """Take in one value."""
        digest = blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        number = int.from_bytes(digest, "big")
        if number in self._hashes:
            return
        if len(self._hashes) < self._most:
            self._hashes.add(number)
            heapq.heappush(self._largest, -number)
            return
        self.exact = False
        if number < -self._largest[0]:
            self._hashes.add(number)
            self._hashes.remove(-heapq.heappushpop(self._largest, -number))

    @property
    def number(self) -> int:
        """How many different values."""
        if self.exact:
            return len(self._hashes)
        return round((self._most - 1) * 2**64 / -self._largest[0])


@dataclass
class IndicatorCount:
    """How often an indicator was seen.

    :param messages: messages that hold it, at most `error` too many.
    :param labels: labels of those messages; they sum up to `messages - error`.
    """

    type: str
    value: str
    messages: int
    error: int = 0
    labels: Counter[str] = field(default_factory=Counter)


class Frequent:
    """The most frequent of many keys. Exact as long as there are no more than `kept` of them. From there on a new key
    takes the place and the count of the rarest, which is its `error`: no count is too low, none is too high by more
    than its error, and whatever is more frequent than `messages / kept` is in (the Space-Saving algorithm).
    """

    def __init__(self, kept: int) -> None:
        self._most = kept
        self._entries: dict[tuple[str, str], IndicatorCount] = {}
        self._rarest: list[tuple[int, int, tuple[str, str]]] = []  # a heap; counts in it may have grown since
        self._order = count()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, type: str, value: str, label: str) -> None:
        """Count one message of class `label` that holds the indicator."""
        key = (type, value)
        entry = self._entries.get(key)
        if entry is None:
            floor = self._remove_rarest() if len(self._entries) >= self._most else 0
            entry = self._entries[key] = IndicatorCount(type, value, floor, floor)
            heapq.heappush(self._rarest, (floor + 1, next(self._order), key))
        entry.messages += 1
        entry.labels[label] += 1

    def _remove_rarest(self) -> int:
        while True:
            seen, order, key = self._rarest[0]
            now = self._entries[key].messages
            if now == seen:
                heapq.heappop(self._rarest)
                del self._entries[key]
                return now
            heapq.heapreplace(self._rarest, (now, order, key))

    @property
    def exact(self) -> bool:
        """Whether no count has an error."""
        return all(entry.error == 0 for entry in self._entries.values())

    def most_common(self, number: int) -> list[IndicatorCount]:
        """The most frequent, the most frequent first."""
        return heapq.nsmallest(
            number, self._entries.values(), key=lambda each: (-each.messages, each.error, each.type, each.value)
        )


@dataclass
class Bucket:
    """Messages of a day, a month, a class or a channel; `harmful` by their label."""

    messages: int = 0
    harmful: int = 0
    actions: Counter[str] = field(default_factory=Counter)

    def add(self, harmful: bool, action: str) -> None:
        """Count one message."""
        self.messages += 1
        self.harmful += harmful
        self.actions[action] += 1

    def merge(self, other: "Bucket") -> None:
        """Take in what another bucket counted."""
        self.messages += other.messages
        self.harmful += other.harmful
        self.actions.update(other.actions)


class Timeline:
    """Messages by day in Thailand; by month once there are over 400 days, by year once there are over 600 months.

    `unit` is `day`, `month` or `year`; keys are the beginnings of ISO dates, such as `2026-11-27` or `2026-11`.
    """

    def __init__(self) -> None:
        self.unit = "day"
        self.undated = 0
        self._buckets: dict[str, Bucket] = {}

    def add(self, sent_at: str | None, harmful: bool, action: str) -> None:
        """Count one message; one whose time is missing or not understood is `undated`."""
        day = _day(sent_at)
        if day is None:
            self.undated += 1
            return
        self._buckets.setdefault(day[: _LENGTH[self.unit]], Bucket()).add(harmful, action)
        if len(self._buckets) > MOST.get(self.unit, 10_000):
            self.unit = "month" if self.unit == "day" else "year"
            self._buckets = self.by(self.unit)

    def by(self, unit: str) -> dict[str, Bucket]:
        """Counts by a unit that is not shorter than `self.unit`, in order of time."""
        result: dict[str, Bucket] = {}
        for key in sorted(self._buckets):
            result.setdefault(key[: _LENGTH[unit]], Bucket()).merge(self._buckets[key])
        return result

    def __iter__(self) -> Iterator[tuple[str, Bucket]]:
        yield from sorted(self._buckets.items())


def _day(sent_at: str | None) -> str | None:
    time = parse_time(sent_at) if sent_at else None
    if time is None:
        return None
    try:
        return (time if time.tzinfo is None else time.astimezone(BANGKOK)).date().isoformat()
    except (OverflowError, ValueError):  # at the very ends of the calendar
        return None


@dataclass(frozen=True)
class KeptMessage:
    """A message that the report names. `text` is None where none was given, and at most its first
    `KEPT_CHARACTERS`; `length` is that of the whole text, in code points.
    """

    risk: float
    label: str
    action: str
    needs_help: bool
    file: str | None
    line: int | None
    channel: str | None
    sent_at: str | None
    text: str | None
    length: int
    evidence: tuple[dict[str, Any], ...]
    reasons: tuple[str, ...]
    reasons_en: tuple[str, ...]

    @property
    def name(self) -> str:
        """Where it stands: file and line."""
        return "" if self.file is None else f"{self.file}:{self.line}"


def _kept(row: dict[str, Any], text: str | None) -> KeptMessage:
    source, message = row.get("source") or {}, row.get("message") or {}
    evidence = row["evidence"][:KEPT_EVIDENCE]
    return KeptMessage(
        risk=row["risk"],
        label=row["label"],
        action=row["action"],
        needs_help=bool(row["needs_help"]),
        file=source.get("file"),
        line=source.get("line"),
        channel=message.get("channel"),
        sent_at=message.get("sent_at"),
        text=None if text is None else text[:KEPT_CHARACTERS],
        length=len(text or ""),
        evidence=tuple(evidence),
        reasons=tuple(row.get("reasons", ())),
        reasons_en=tuple(row.get("reasons_en", ())),
    )


class Riskiest:
    """The riskiest messages, one of each template; of equal risks the earlier ones."""

    def __init__(self, most: int = TOP) -> None:
        self._most = most
        self._kept: dict[str, tuple[float, int, KeptMessage]] = {}  # by template
        self._order = count()

    def add(self, template: str, row: dict[str, Any], text: str | None) -> None:
        """Take in one message."""
        order = -next(self._order)
        if self._most < 1:
            return
        same = self._kept.get(template)
        if same is not None:
            if row["risk"] > same[0]:
                self._kept[template] = (row["risk"], order, _kept(row, text))
            return
        if len(self._kept) >= self._most:
            last = min(self._kept, key=lambda each: self._kept[each][:2])
            if row["risk"] <= self._kept[last][0]:
                return
            del self._kept[last]
        self._kept[template] = (row["risk"], order, _kept(row, text))

    def __iter__(self) -> Iterator[KeptMessage]:
        for _, _, message in sorted(self._kept.values(), key=lambda each: each[:2], reverse=True):
            yield message


class Recruitment:
    """Signs in messages about work. What messages look like; never a finding about anyone.

    Messages whose label is `trafficking` are counted apart from the others about work, most of which are lawful.
    """

    def __init__(self) -> None:
        self.trafficking = 0
        self.others = 0
        self.with_signs: Counter[tuple[str, bool]] = Counter()  # strength, trafficking: messages with one or more
        self.signs: Counter[tuple[str, bool]] = Counter()  # strength, trafficking: signs in all
        self.types: Counter[tuple[str, str, bool]] = Counter()  # strength, type, trafficking: messages
        self.contacts = Frequent(CONTACTS)  # of messages whose label is trafficking, and nobody else's

    @property
    def messages(self) -> int:
        """Messages about work, and those whose label is trafficking."""
        return self.trafficking + self.others

    def add(self, row: dict[str, Any], leads: list[tuple[str, str]]) -> None:
        """Take in one row; one that is not about work is left alone."""
        counts, trafficking = row.get("recruitment"), row["label"] == TRAFFICKING
        if counts is None and not trafficking:
            return
        self.trafficking += trafficking
        self.others += not trafficking
        for strength, number in (counts or {}).items():
            if number > 0:
                self.with_signs[strength, trafficking] += 1
                self.signs[strength, trafficking] += number
        for strength, type_ in {
            (details["strength"], each["type"])
            for each in row["evidence"]
            if (details := each.get("details") or {}).get("strength") and "quoted" not in details
        }:
            self.types[strength, type_, trafficking] += 1
        if trafficking:
            for type_, value in leads:
                if type_ in CONTACT_TYPES:
                    self.contacts.add(type_, value, TRAFFICKING)

    def table(self) -> list[tuple[str, str, int, int]]:
        """Strength, type of sign, messages whose label is trafficking, other messages about work; strongest first."""
        order = {"strong": 0, "medium": 1, "weak": 2}
        rows = [
            (strength, type_, self.types[strength, type_, True], self.types[strength, type_, False])
            for strength, type_ in {(strength, type_) for strength, type_, _ in self.types}
        ]
        return sorted(rows, key=lambda row: (order.get(row[0], 3), -row[2], -row[3], row[1]))


@dataclass(frozen=True)
class NotRead:
    """An entry that could not be read, and why."""

    file: str
    line: int
    reason: str


class Summary:
    """Counts the rows of a scan. The order of rows decides only which of equally risky messages are kept."""

    def __init__(self, top: int = TOP) -> None:
        self.actions: Counter[str] = Counter()
        self.labels: dict[str, Bucket] = {}
        self.channels: dict[str, Bucket] = {}  # the empty name: not known
        self.timeline = Timeline()
        self.needs_help = 0
        self.texts = Distinct()
        self.indicators = Frequent(INDICATORS)
        self.recruitment = Recruitment()
        self.riskiest = Riskiest(top)
        self.models, self.policies = Names(), Names()
        self.not_read: list[NotRead] = []
        self.reasons, self.notices = Names(), Names()
        self._channel_names = Names()
        self._urgent: dict[str, KeptMessage] = {}  # by template

    @property
    def messages(self) -> int:
        """How many messages were added."""
        return self.actions.total()

    @property
    def harmful(self) -> int:
        """Messages whose label is a harmful class."""
        return sum(bucket.harmful for bucket in self.labels.values())

    @property
    def urgent(self) -> list[KeptMessage]:
        """The first messages in which someone may need help, one of each template, in order of the dump."""
        return list(self._urgent.values())

    def add(self, row: dict[str, Any], text: str | None = None) -> None:
        """Take in one result row.

        :param text: the message's text, if the report may show it: masked already, or to be masked by the report.
            Without it, the text that the row itself holds, if it does.
        """
        message = row.get("message") or {}
        if text is None:
            text = message.get("text")
        label, action, harmful = row["label"], row["action"], row["label"] != BENIGN
        number = str(self.messages)
        identity = message.get("id") or text or number
        template = message.get("template") or identity
        self.actions[action] += 1
        self.labels.setdefault(label, Bucket()).add(harmful, action)
        channel = self._channel_names.add(channel_name(message.get("channel")))
        self.channels.setdefault(channel, Bucket()).add(harmful, action)
        self.timeline.add(message.get("sent_at"), harmful, action)
        self.texts.add(identity)
        self.models.add(row["model"])
        self.policies.add(row["policy"])
        if row["needs_help"]:
            self.needs_help += 1
            if len(self._urgent) < FIRST and template not in self._urgent:
                self._urgent[template] = _kept(row, text)
        leads = [] if row["needs_help"] or not harmful else _leads(row)
        for type_, value in leads:
            self.indicators.add(type_, value, label)
        self.recruitment.add(row, leads)
        if harmful:
            self.riskiest.add(template, row, text)

    def unreadable(self, reason: str, file: str, line: int) -> None:
        """Count an entry that could not be read; the first 50 are kept."""
        self.reasons.add(reason)
        if len(self.not_read) < FIRST:
            self.not_read.append(NotRead(file, line, reason))

    def notice(self, what: str) -> None:
        """Count an entry that holds no words of a sender, such as a sticker."""
        self.notices.add(what)


def _leads(row: dict[str, Any]) -> list[tuple[str, str]]:
    """The indicators of a harmful message, each once: those of honest messages, and of people who ask for help, belong
    to nobody's list, and what is official speaks for a message.
    """
    return sorted(
        {
            (each["type"], (each.get("value") or each["text"])[:VALUE_CHARACTERS])
            for each in row["evidence"]
            if each["kind"] == "indicator"
            and each["type"] not in _NO_LEADS
            and "official" not in (each.get("details") or {})
        }
    )
