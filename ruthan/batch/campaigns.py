"""Campaigns: harmful messages that belong together, by nearly the same words or by a contact, account or domain.

What one campaign is hangs on the rows alone, not on their order: texts and indicators are gathered while rows come in
and joined when `Campaigns.found` is called. Two texts are joined if

 * they have one template, or share a key of near-duplicates (`ruthan.batch.near_duplicates`), or
 * an indicator that `ruthan.batch.join_keys` takes for one sender's own stands in both, and is no hub: one that stands
   in more than `HUB_GROUPS` groups of otherwise unrelated texts of which less than `HUB_SHARE` bear one label, such as
   a bank's own number that all who pose as the bank quote, joins nothing.

Memory grows with the distinct templates and indicators of what was not allowed, never with the number of messages:
1 to 3 KB for each template, of which the keys are 176 bytes. Senders are counted exactly up to `SENDERS` for each
template, beyond that estimated within some 3 % from the smallest `SENDERS` digests.
"""

import json
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from itertools import chain, islice
from typing import Any

import numpy as np

from ruthan.batch.join_keys import IDENTIFYING, is_masked, is_official, join_key, own_domain
from ruthan.batch.near_duplicates import (
    LONGEST,
    DisjointSets,
    Keys,
    equal_keys,
    near_duplicate_keys,
    template_id_and_keys,
)
from ruthan.batch.summary import KEPT_EVIDENCE, OTHERS
from ruthan.dumps.dates import BANGKOK, from_epoch, parse_time
from ruthan.errors import DataError
from ruthan.taxonomy import BENIGN

HUB_GROUPS, HUB_SHARE = 20, 0.6
SENDERS = 1_000
SENDER_KEYS, TEMPLATE_KEYS, TEXT_KEYS = 200, 100, 100  # what a campaign carries to be met again
INDICATORS = 1_000  # the most that a campaign lists
CHANNELS = 60  # of one template that are counted each by itself; those beyond are `OTHERS`
CHANNEL_CHARACTERS = 100  # of a channel's name

# Listed with a campaign, yet no reason to join: codes and licences are shared, borrowed or made up. Citizen ids are
# neither listed nor join: in most messages they are those of the one who was to be cheated.
_LISTED = IDENTIFYING | {"ussd", "recruitment_licence"}
_FULL = 1 << 48  # digests of senders are 48 bits long
_ACTIONS = ("allow", "review", "block")


@dataclass(frozen=True)
class CampaignIndicator:
    """An indicator of a campaign and how many of its messages hold it.

    :param type: as in `ruthan.verdict.Evidence`, or `domain` for the registrable domain of links.
    """

    type: str
    value: str
    messages: int


@dataclass(frozen=True)
class Campaign:
    """Messages that belong together.

    :param id: the same from run to run, whatever the order of rows: made of the smallest template of the campaign, or
        that of the known campaign that it goes on.
    :param messages: how many; `texts` how many distinct templates among them, of a campaign that a file had more of
        than its keys hold at least so many.
    :param label: the most frequent harmful label; `benign` only if there is no other.
    :param risk: the highest, 0 to 1.
    :param needs_help: in how many messages someone may be held or is searched for.
    :param first_seen: ISO 8601, Bangkok time, or None where no message says when; `last_seen` likewise.
    :param senders: distinct ones; above `SENDERS` in one template, or `SENDER_KEYS` in a file, an estimate.
    :param exemplar: the text that stands for it, where rows hold text; its first `LONGEST` characters.
    :param exemplar_evidence: the evidence of that text as in its row, the first `KEPT_EVIDENCE` pieces.
    :param indicators: the `INDICATORS` most frequent, the most frequent first.
    :param merged: ids of known campaigns that turned out to be this one.
    :param keys: `t:` and the templates, `n:` and the near-duplicate keys by which it is met again, at most
        `TEMPLATE_KEYS` and `TEXT_KEYS`; what was seen last and most stays.
    :param sender_keys: digests by which senders are told apart from run to run, at most `SENDER_KEYS`.
    """

    id: str
    messages: int
    texts: int
    label: str
    labels: dict[str, int]
    risk: float
    actions: dict[str, int]
    needs_help: int
    first_seen: str | None
    last_seen: str | None
    channels: dict[str, int]
    senders: int
    exemplar: str | None
    exemplar_evidence: tuple[dict[str, Any], ...]
    exemplar_source: dict[str, Any] | None
    indicators: tuple[CampaignIndicator, ...]
    merged: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    sender_keys: tuple[str, ...] = ()


class Campaigns:
    """Takes rows of results and finds the campaigns among them.

    :param known: campaigns of earlier runs. One that a row belongs to by template, near-duplicate key or indicator goes
        on: its id stays, counts are added up. If rows tie two together, the one that was seen first keeps its id (of
        equals, or if one has no time, the smaller id) and names the other in `merged`.

    Two dumps one after the other, the campaigns of the first found with `smallest=1`, give the same messages, texts,
    labels, risk, actions, needs_help, channels, times, senders and indicators as both at once, as long as no bound
    named in `Campaign` is reached and no indicator becomes or ceases to be a hub.
    """

    def __init__(self, known: Iterable[Campaign] = ()) -> None:
        self._known = list(known)
        self._seen: dict[str, _Seen] = {}
        self._numbers: dict[tuple[str, str], int] = {}  # of indicators, in order of appearance
        self._rows = 0

    def add(self, row: dict[str, Any], text: str | None = None) -> None:
        """Take in a row of results. Rows that are allowed are not part of campaigns.

        :param text: the message, where the row does not hold it: near-duplicates are found by it, it is not kept.
        :raises DataError: a field is missing or of the wrong kind; names the row and where its message stands.
        """
        self._rows += 1
        try:
            harmful = _read_row(row)
            if harmful is None:
                return
            template, keys = _template_and_keys(harmful, text, self._seen)
            seen = self._seen.get(template)
            exemplar = None
            if seen is None or harmful.rank < seen.rank:
                exemplar = _packed(harmful)
        except _Fault as fault:
            raise DataError(f"{_place(row, self._rows)}: {fault}") from None
        if seen is None:
            seen = self._seen[template] = _Seen()
        if not len(seen.keys):
            seen.keys = keys
        if exemplar is not None:
            seen.rank, seen.exemplar = harmful.rank, exemplar
        seen.add(harmful)
        for indicator in harmful.indicators:
            number = self._numbers.setdefault(indicator, len(self._numbers))
            seen.indicators[number] = seen.indicators.get(number, 0) + 1

    def found(self, smallest: int = 2, seen_only: bool = False) -> list[Campaign]:
        """Campaigns of at least `smallest` messages, the largest first, ties by id.

        Known ones are among them whatever their size, also those that no row belongs to, unless `seen_only`.
        """
        names = sorted(self._seen)
        groups: dict[int, list[int]] = {}
        for node, root in enumerate(self._joined(names)):
            groups.setdefault(root, []).append(node)
        indicators = list(self._numbers)
        campaigns = []
        for nodes in groups.values():
            known = [self._known[node] for node in nodes if node < len(self._known)]
            own = {names[node - len(self._known)]: None for node in nodes if node >= len(self._known)}
            seen = {name: self._seen[name] for name in own}
            if not seen and seen_only:
                continue
            campaign = _campaign(seen, known, indicators) if seen or len(known) > 1 else known[0]
            if known or campaign.messages >= smallest:
                campaigns.append(campaign)
        return sorted(campaigns, key=lambda campaign: (-campaign.messages, campaign.id))

    def _joined(self, names: list[str]) -> list[int]:
        """For each known campaign, then each template, the number of the first of what belongs together."""
        shift = len(self._known)
        sets = DisjointSets(shift + len(names))
        places: dict[str, int] = {}
        for node, campaign in enumerate(self._known):
            for key in (campaign.id, *campaign.merged, *(key[2:] for key in campaign.keys if key.startswith("t:"))):
                sets.join(places.setdefault(key, node), node)
        if places:
            for node, name in enumerate(names, shift):
                for key in (name, _campaign_id(name)):
                    sets.join(places.get(key, node), node)
        keys = [_text_keys(campaign.keys) for campaign in self._known] + [self._seen[name].keys for name in names]
        for one, other in equal_keys(keys):
            sets.join(one, other)

        texts = [sets.find(node) for node in range(shift + len(names))]
        labels: dict[int, Counter[str]] = {}
        for node, root in enumerate(texts):
            mine = self._known[node].labels if node < shift else self._seen[names[node - shift]].labels
            labels.setdefault(root, Counter()).update(mine)
        for holders in self._holders(names).values():
            roots = {texts[node] for node in holders}
            if len(roots) > 1 and not _is_hub([_label(labels[root]) for root in roots]):
                first = min(roots)
                for root in roots:
                    sets.join(first, root)
        return [sets.find(node) for node in range(shift + len(names))]

    def _holders(self, names: list[str]) -> dict[str, list[int]]:
        """For each key of an indicator that joins, what holds it."""
        join_keys = [join_key(*indicator) for indicator in self._numbers]
        holders: dict[str, list[int]] = {}
        for node, campaign in enumerate(self._known):
            for each in campaign.indicators:
                key = join_key(each.type, each.value)
                if key is not None:
                    holders.setdefault(key, []).append(node)
        for node, name in enumerate(names, len(self._known)):
            for number in self._seen[name].indicators:
                key = join_keys[number]
                if key is not None:
                    holders.setdefault(key, []).append(node)
        return holders


class _Fault(ValueError):
    """What is wrong with a row; says nothing of its text."""


@dataclass(frozen=True)
class _Harmful:
    """What counts of a row that is not allowed."""

    action: str
    label: str
    risk: float
    needs_help: bool
    template: str | None
    text: str | None
    channel: str | None
    sender: int | None
    time: int | None
    indicators: frozenset[tuple[str, str]]
    evidence: list[dict[str, Any]]
    source: dict[str, Any] | None
    rank: tuple[bool, float, str, str, int]  # the smallest is the exemplar of a template


class _Seen:
    """What the messages of one template have in common."""

    __slots__ = (
        ("messages", "labels", "actions", "channels", "risk", "needs_help", "first", "last", "senders", "bound")
        + ("indicators", "keys", "rank", "exemplar")
    )  # fmt: skip

    def __init__(self) -> None:
        self.messages = 0
        self.labels: dict[str, int] = {}
        self.actions: dict[str, int] = {}
        self.channels: dict[str, int] = {}
        self.risk = 0.0
        self.needs_help = 0
        self.first: int | None = None
        self.last: int | None = None
        self.senders: set[int] = set()
        self.bound = _FULL
        self.indicators: dict[int, int] = {}
        self.keys: Keys = np.empty(0, dtype="<u8")
        self.rank: tuple[bool, float, str, str, int] = (True, 1.0, "", "", 0)
        self.exemplar = b""

    def add(self, harmful: _Harmful) -> None:
        self.messages += 1
        self.labels[harmful.label] = self.labels.get(harmful.label, 0) + 1
        self.actions[harmful.action] = self.actions.get(harmful.action, 0) + 1
        if harmful.channel is not None:
            # Tables name channels freely: a column that holds something else must not fill memory.
            kept = harmful.channel in self.channels or len(self.channels) < CHANNELS
            channel = harmful.channel if kept else OTHERS
            self.channels[channel] = self.channels.get(channel, 0) + 1
        self.risk = max(self.risk, harmful.risk)
        self.needs_help += harmful.needs_help
        if harmful.time is not None:
            self.first = harmful.time if self.first is None else min(self.first, harmful.time)
            self.last = harmful.time if self.last is None else max(self.last, harmful.time)
        if harmful.sender is not None and harmful.sender <= self.bound:
            self.senders.add(harmful.sender)
            if len(self.senders) > SENDERS + SENDERS // 4:
                self.senders, self.bound = _smallest(self.senders, SENDERS)


def _smallest(digests: Iterable[int], count: int) -> tuple[set[int], int]:
    """The smallest digests, at most `count`, and the bound below which none is missing.

    Which digests are the smallest does not hang on their order, so neither does an estimate from them.
    """
    ordered = sorted(digests)
    return set(ordered[:count]), ordered[count - 1] if len(ordered) > count else _FULL


def _read_row(row: Any) -> _Harmful | None:
    """What counts of a row; None of one that is allowed."""
    if not isinstance(row, dict):
        raise _Fault("it is no object with fields")
    action = row.get("action")
    if action not in _ACTIONS:
        raise _Fault("`action` must be allow, review or block")
    if action == "allow":
        return None
    label = _optional(row, "label", str)
    if not label:
        raise _Fault("`label` must be a text")
    risk = row.get("risk")
    if not isinstance(risk, int | float) or isinstance(risk, bool) or not 0 <= risk <= 1:
        raise _Fault("`risk` must be a number from 0 to 1")
    message = _optional(row, "message", dict) or {}
    source = _optional(row, "source", dict)
    file, line = ("", 0) if source is None else (source.get("file"), source.get("line"))
    if not isinstance(file, str) or not isinstance(line, int):
        raise _Fault("`source` must hold `file`, a text, and `line`, a whole number")
    template = _optional(message, "template", str)
    if template is not None and not re.fullmatch(r"[0-9a-f]{16}", template):
        raise _Fault("`template` must be 16 hexadecimal digits")
    text = _optional(message, "text", str)
    sender, channel = _optional(message, "sender", str), _optional(message, "channel", str)
    evidence = _optional(row, "evidence", list) or []
    return _Harmful(
        action=action,
        label=label,
        risk=float(risk),
        needs_help=bool(_optional(row, "needs_help", bool)),
        template=template,
        text=text,
        channel=None if channel is None else channel[:CHANNEL_CHARACTERS],
        sender=None if sender is None else _sender_digest(sender),
        time=_seconds(_optional(message, "sent_at", str)),
        indicators=frozenset(chain.from_iterable(map(_listed, evidence))),
        evidence=evidence,
        source=source,
        rank=(text is None, -float(risk), _optional(message, "id", str) or "", file, line),
    )


def _optional(fields_: dict[str, Any], name: str, kind: type) -> Any:
    """A field that may be missing.

    :raises _Fault: it is there, but of another kind.
    """
    value = fields_.get(name)
    if value is not None and not isinstance(value, kind):
        named = {str: "a text", bool: "true or false", list: "a list", dict: "an object with fields"}[kind]
        raise _Fault(f"`{name}` must be {named}")
    return value


def _listed(entry: Any) -> Iterator[tuple[str, str]]:
    """The indicators that a piece of evidence names, a link with its domain; none of official contacts."""
    if not isinstance(entry, dict):
        raise _Fault("`evidence` must hold objects with fields only")
    kind, value = _optional(entry, "type", str), _optional(entry, "value", str)
    details = _optional(entry, "details", dict) or {}
    if _optional(entry, "kind", str) != "indicator" or kind not in _LISTED or not value or "official" in details:
        return
    if is_official(kind, value):
        return
    if not is_masked(kind, value):
        yield kind, value
    domain = own_domain(value) if kind == "url" and "shortener" not in details else None
    if domain is not None:
        yield "domain", domain


def _sender_digest(sender: str) -> int:
    """Rows hold a pseudonym, or the sender himself where they hold text: both give one digest."""
    if re.fullmatch(r"[0-9a-f]{12}", sender):
        return int(sender, 16)
    return int(sha256(sender.encode("utf-8", "surrogatepass")).hexdigest()[:12], 16)


@lru_cache(maxsize=1_000)
def _seconds(sent_at: str | None) -> int | None:
    """Seconds since 1970 of a time as the dump writes it; None where it cannot be told."""
    time = parse_time(sent_at) if sent_at else None
    if time is None:
        return None
    try:
        return int((time if time.tzinfo else time.replace(tzinfo=BANGKOK)).timestamp())
    except (ValueError, OverflowError):
        return None


def _template_and_keys(harmful: _Harmful, text: str | None, seen: dict[str, _Seen]) -> tuple[str, Keys]:
    """The template of a row, and keys of near-duplicates unless the template has some or there is no text."""
    text = harmful.text if text is None else text
    if harmful.template is None:
        if text is None:
            raise _Fault("`message` must hold `template`, or the text be given")
        return template_id_and_keys(text)
    known = seen.get(harmful.template)
    if text is None or (known is not None and len(known.keys)):
        return harmful.template, np.empty(0, dtype="<u8")
    return harmful.template, near_duplicate_keys(text)


def _packed(harmful: _Harmful) -> bytes:
    try:
        text = None if harmful.text is None else harmful.text[:LONGEST]
        content = json.dumps([text, harmful.evidence[:KEPT_EVIDENCE], harmful.source])
    except (TypeError, ValueError, RecursionError):
        raise _Fault("`evidence` or `source` holds what JSON cannot") from None
    return zlib.compress(content.encode(), 1)


def _place(row: Any, number: int) -> str:
    source = row.get("source") if isinstance(row, dict) else None
    if isinstance(source, dict) and isinstance(source.get("file"), str) and isinstance(source.get("line"), int):
        return f"row {number} of the results, of {source['file']}, line {source['line']}"
    return f"row {number} of the results"


def _is_hub(labels: list[str]) -> bool:
    """Whether an indicator in groups of texts with these labels joins what does not belong together."""
    return len(labels) > HUB_GROUPS and max(Counter(labels).values()) < HUB_SHARE * len(labels)


def _campaign_id(template: str) -> str:
    return "c-" + sha256(f"campaign {template}".encode()).hexdigest()[:12]


def _text_keys(keys: Iterable[str]) -> Keys:
    return np.array([int(key[2:], 16) for key in keys if key.startswith("n:")], dtype="<u8")


def _label(labels: dict[str, int]) -> str:
    """The most frequent harmful label, of equals the first by name."""
    harmful = {label: count for label, count in labels.items() if label != BENIGN}
    return min(harmful or labels, key=lambda label: (-labels[label], label))


def _in_order(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _campaign(seen: dict[str, _Seen], known: list[Campaign], indicators: list[tuple[str, str]]) -> Campaign:
    """One campaign of templates (in order of their names) and known campaigns that belong together."""
    known = sorted(known, key=lambda each: (_moment(each.first_seen) or math.inf, each.id))
    identity = known[0].id if known else _campaign_id(next(iter(seen)))
    parts: list[_Seen | Campaign] = [*known, *seen.values()]
    merged = {name for each in known for name in (each.id, *each.merged)} - {identity}
    labels, actions, channels = (
        sum((Counter(getattr(each, name)) for each in parts), Counter[str]())
        for name in ("labels", "actions", "channels")
    )
    ends = [time for each in seen.values() for time in (each.first, each.last)]
    ends += [_moment(time) for each in known for time in (each.first_seen, each.last_seen)]
    times = [time for time in ends if time is not None]
    held: Counter[tuple[str, str]] = Counter()
    for own in seen.values():
        for number, messages in own.indicators.items():
            held[indicators[number]] += messages
    for each in known:
        for indicator in each.indicators:
            held[indicator.type, indicator.value] += indicator.messages
    senders, sender_keys = _senders(seen.values(), known)
    exemplar, evidence, source = _exemplar(seen, known)
    return Campaign(
        id=identity,
        messages=sum(each.messages for each in parts),
        texts=_texts(seen, known),
        label=_label(labels),
        labels=_in_order(labels),
        risk=max(each.risk for each in parts),
        actions=_in_order(actions),
        needs_help=sum(each.needs_help for each in parts),
        first_seen=from_epoch(min(times)) if times else None,
        last_seen=from_epoch(max(times)) if times else None,
        channels=_in_order(channels),
        senders=senders,
        exemplar=exemplar,
        exemplar_evidence=tuple(evidence),
        exemplar_source=source,
        indicators=_most_frequent(held),
        merged=tuple(sorted(merged)),
        keys=_carried(seen, known),
        sender_keys=sender_keys,
    )


def _moment(time: str | None) -> int | None:
    return None if time is None else int(datetime.fromisoformat(time).timestamp())


def _most_frequent(held: Counter[tuple[str, str]]) -> tuple[CampaignIndicator, ...]:
    """At most `INDICATORS`; where there are more, those by which messages join go first."""
    kept = list(held)
    if len(kept) > INDICATORS:
        kept.sort(key=lambda each: (join_key(*each) is None, -held[each], each))
        del kept[INDICATORS:]
    kept.sort(key=lambda each: (-held[each], each))
    return tuple(CampaignIndicator(*each, held[each]) for each in kept)


def _texts(seen: dict[str, _Seen], known: list[Campaign]) -> int:
    templates = set(seen)
    whole = True
    for each in known:
        own = {key[2:] for key in each.keys if key.startswith("t:")}
        templates |= own
        whole &= each.texts == len(own)
    return len(templates) if whole else max(len(templates), *(each.texts for each in known))


def _senders(seen: Iterable[_Seen], known: list[Campaign]) -> tuple[int, tuple[str, ...]]:
    """How many senders, and the keys of the smallest digests among them."""
    digests: set[int] = set()
    bound = _FULL
    for own in seen:
        kept, own_bound = _smallest(own.senders, SENDERS)
        digests |= kept
        bound = min(bound, own_bound, own.bound)
    for each in known:
        carried = {int(key, 16) for key in each.sender_keys}
        digests |= carried
        if each.senders > len(carried) and carried:
            bound = min(bound, max(carried))
    whole = sorted(digest for digest in digests if digest <= bound)
    count = len(whole) if bound == _FULL else max(len(digests), round((len(whole) - 1) * _FULL / bound))
    count = max([count, *(each.senders for each in known)])
    return count, tuple(f"{digest:012x}" for digest in whole[:SENDER_KEYS])


def _exemplar(
    seen: dict[str, _Seen], known: list[Campaign]
) -> tuple[str | None, list[dict[str, Any]], dict[str, Any] | None]:
    """That of the known campaign that stays, if it has one; else of the template with text that has most messages."""
    best = min(
        seen.items(), key=lambda each: (each[1].rank[0], -each[1].messages, -each[1].risk, each[0]), default=None
    )
    text, evidence, source = json.loads(zlib.decompress(best[1].exemplar)) if best else (None, [], None)
    for each in known:
        if each.exemplar is not None or (text is None and each.exemplar_source is not None):
            return each.exemplar, list(each.exemplar_evidence), each.exemplar_source
    return text, evidence, source


def _carried(seen: dict[str, _Seen], known: list[Campaign]) -> tuple[str, ...]:
    """The keys by which a campaign is met again: new ones first, the most frequent of them first."""
    shared: Counter[int] = Counter()
    for own in seen.values():
        shared.update(own.keys.tolist())
    templates = [f"t:{name}" for name in sorted(seen, key=lambda name: (-seen[name].messages, name))]
    texts = [f"n:{key:016x}" for key in sorted(shared, key=lambda key: (-shared[key], key))]
    for each in known:
        templates += [key for key in each.keys if key.startswith("t:")]
        texts += [key for key in each.keys if key.startswith("n:")]
    return (*islice(dict.fromkeys(templates), TEMPLATE_KEYS), *islice(dict.fromkeys(texts), TEXT_KEYS))
