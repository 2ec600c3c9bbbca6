"""Compare two bundles on the same messages: which verdicts flip and, where the truth is known, which bundle is better.

python -m train compare models/ruthan-e5s runs/default/bundle --on inbox.jsonl
"""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_fscore_support

from ruthan.dumps.detect import ENDINGS
from ruthan.dumps.encoding import SAMPLE_BYTES, open_text
from ruthan.dumps.lines import numbered_lines
from ruthan.dumps.reading import check_readable, read_dump
from ruthan.dumps.rows import NOT_IN_ENCODING, TOO_LONG, Unreadable, undecodable
from ruthan.errors import DumpError
from ruthan.message import Message, Source
from ruthan.scanner import BATCH, Scanner
from ruthan.taxonomy import BENIGN, default_taxonomy
from ruthan.verdict import Verdict
from train.corpus.near_duplicates import NearDuplicateIndex
from train.errors import ConfigError, CorpusError
from train.metrics import RiskMetrics, risk_metrics

ALIKE = 0.5  # flipped texts this alike (Jaccard of 5-grams) are shown as one

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Labelled:
    """A message, where it stands, and its true class if that is known."""

    text: str
    label: str | None
    source: Source


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one bundle says of a text: risk, 0 to 1, label and action."""

    risk: float
    label: str
    action: str


@dataclass(frozen=True)
class Flip:
    """A text of which the bundles differ in action or label, and how many messages read so."""

    text: str
    line: int
    messages: int
    old: Judgement
    new: Judgement


@dataclass(frozen=True)
class FlipGroup:
    """Flipped texts that say nearly the same: the first of them as an example, and how many there are."""

    example: Flip
    messages: int
    texts: int


@dataclass(frozen=True)
class ActionChange:
    """How many flips go from one action to another; of those that stay the same, only the label flips."""

    old: str
    new: str
    messages: int
    texts: int


@dataclass(frozen=True)
class McNemar:
    """McNemar's exact test: of the texts that one bundle gets right and the other wrong, is it a toss-up which?

    `lost` are those that only the old one gets right, `won` those that only the new one does; `p` is the two-sided
    p-value, 1 if there are none. Q. McNemar, Psychometrika 12 (1947); exact by the binomial distribution.
    """

    lost: int
    won: int
    p: float


@dataclass(frozen=True)
class ClassChange:
    """Recall and precision of a class, old and new; precision is None where the class was never predicted."""

    label: str
    texts: int
    old_recall: float
    new_recall: float
    old_precision: float | None
    new_precision: float | None


@dataclass(frozen=True)
class Truth:
    """Both bundles against the labels. Every distinct text counts once, however many messages read so.

    `harmful` tests harmful/benign at the policy's risk for review, `label` the class.
    """

    old: RiskMetrics
    new: RiskMetrics
    harmful: McNemar
    label: McNemar
    classes: list[ClassChange]


@dataclass(frozen=True)
class Comparison:
    """What `compare` finds; `flips` and `groups` with the most messages first, `truth` None without labels."""

    policy: str
    review: float
    block: float
    messages: int
    texts: int
    flips: list[ActionChange]
    groups: list[FlipGroup]
    truth: Truth | None


def scanners(old: Path, new: Path, policy: Path | None = None) -> tuple[Scanner, Scanner]:
    """Both bundles under one policy, by default the one that ships.

    :raises BundleError: a bundle cannot be read.
    :raises ConfigError: their classes differ.
    """
    one, other = Scanner(old, policy), Scanner(new, policy)
    if differ := sorted(set(one.classifier.info.labels) ^ set(other.classifier.info.labels)):
        raise ConfigError(
            f"{old} and {new} know different classes ({', '.join(differ)}); compare bundles of one data/taxonomy.yaml"
        )
    return one, other


def read_messages(path: Path, on_unreadable: Callable[[Unreadable], None]) -> Iterator[Labelled]:
    """The messages of a dump as they come; JSON lines may hold a `label`, null where it is not known.

    :raises DumpError: the file cannot be read.
    :raises CorpusError: a label is no class of the taxonomy.
    """
    check_readable(str(path))
    rows = _json_lines(path) if ENDINGS.get(path.suffix.lower()) == "jsonl" else _unlabelled(path)
    for row in rows:
        if isinstance(row, Unreadable):
            on_unreadable(row)
        else:
            yield row


def _unlabelled(path: Path) -> Iterator[Labelled | Unreadable]:
    for row in read_dump(str(path)):
        if isinstance(row, Message):
            yield Labelled(row.text, None, row.source or Source(str(path), 0))
        elif isinstance(row, Unreadable):
            yield row


def _json_lines(path: Path) -> Iterator[Labelled | Unreadable]:
    known = default_taxonomy().labels
    try:
        with io.BufferedReader(io.FileIO(path), SAMPLE_BYTES) as binary:
            stream, _ = open_text(binary)
            for line in numbered_lines(stream):
                if line.text.isspace():
                    continue
                row = _json_line(line.text, Source(str(path), line.number), line.too_long)
                if isinstance(row, Labelled) and row.label not in (None, *known):
                    raise CorpusError(f"{path}:{line.number}: unknown label; known are: {', '.join(known)}, and null")
                yield row
    except OSError as error:
        raise DumpError(f"cannot read {path}: {error.strerror or error}") from error


def _json_line(line: str, source: Source, too_long: bool) -> Labelled | Unreadable:
    if too_long or undecodable(line):
        return Unreadable(source, TOO_LONG if too_long else NOT_IN_ENCODING)
    try:
        content: Any = json.loads(line)
    except (ValueError, RecursionError):
        return Unreadable(source, "not valid JSON")
    if not isinstance(content, dict) or not isinstance(content.get("text"), str):
        return Unreadable(source, "no JSON object with a field text that is a string")
    return Labelled(content["text"], content.get("label"), source)


def compare(old: Scanner, new: Scanner, messages: Iterable[Labelled]) -> Comparison:
    """Judge every distinct text once with each bundle, see `Comparison`; of texts that do not flip only figures stay.

    :raises CorpusError: there is no message.
    """
    numbers: dict[bytes, int] = {}
    counts: list[int] = []
    truths: dict[tuple[int, str], None] = {}
    judged: list[tuple[Judgement, Judgement]] = []
    flipped: dict[int, Labelled] = {}

    def distinct() -> Iterator[Labelled]:
        for message in messages:
            digest = blake2b(message.text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
            number = numbers.setdefault(digest, len(counts))
            if message.label is not None:
                truths[number, message.label] = None
            if number < len(counts):
                counts[number] += 1
            else:
                counts.append(1)
                yield message

    stream = distinct()
    while batch := list(islice(stream, BATCH)):
        texts = [message.text for message in batch]
        for message, one, other in zip(batch, old.scan_many(texts), new.scan_many(texts), strict=True):
            if (one.action, one.label) != (other.action, other.label):
                flipped[len(judged)] = message
            judged.append((_judgement(one), _judgement(other)))
    if not judged:
        raise CorpusError("there is no message to compare on; give a file that holds some")

    flips = [
        Flip(message.text, message.source.line, counts[number], *judged[number]) for number, message in flipped.items()
    ]
    policy = old.policy
    return Comparison(
        policy.name,
        policy.review,
        policy.block,
        sum(counts),
        len(counts),
        _by_action(flips),
        group_flips(flips),
        _truth([(judged[number], label) for number, label in truths], policy.review) if truths else None,
    )


def _judgement(verdict: Verdict) -> Judgement:
    return Judgement(verdict.risk, verdict.label, verdict.action)


def _by_action(flips: Sequence[Flip]) -> list[ActionChange]:
    messages: Counter[tuple[str, str]] = Counter()
    texts: Counter[tuple[str, str]] = Counter()
    for flip in flips:
        change = flip.old.action, flip.new.action
        messages[change] += flip.messages
        texts[change] += 1
    return [ActionChange(*change, count, texts[change]) for change, count in messages.most_common()]


def group_flips(flips: Iterable[Flip]) -> list[FlipGroup]:
    """Put flips that say nearly the same together, the groups with the most messages first.

    A text is compared with one example of each group only: of a campaign in thousands of variants, comparing each
    with each, as `train.corpus.near_duplicates.clusters` does, would take hours.
    """
    index = NearDuplicateIndex(ALIKE)
    groups: list[FlipGroup] = []
    for flip in flips:
        if near := index.find(flip.text):
            number, _ = near[0]
            group = groups[number]
            groups[number] = replace(group, messages=group.messages + flip.messages, texts=group.texts + 1)
        else:
            index.add(flip.text)
            groups.append(FlipGroup(flip, flip.messages, 1))
    return sorted(groups, key=lambda group: (-group.messages, group.example.line))


def _truth(judged: Sequence[tuple[tuple[Judgement, Judgement], str]], review: float) -> Truth:
    labels = [label for _, label in judged]
    harmful = np.array([label != BENIGN for label in labels])
    risks = [np.array([pair[side].risk for pair, _ in judged]) for side in (0, 1)]
    predicted = [[pair[side].label for pair, _ in judged] for side in (0, 1)]
    return Truth(
        risk_metrics(risks[0], harmful),
        risk_metrics(risks[1], harmful),
        mcnemar(*((risk >= review) == harmful for risk in risks)),
        mcnemar(*(np.array(said) == np.array(labels) for said in predicted)),
        _by_class(labels, *predicted),
    )


def _by_class(labels: Sequence[str], old: Sequence[str], new: Sequence[str]) -> list[ClassChange]:
    """A row a class that occurs, the most frequent first."""
    counts = Counter(labels)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    (old_precision, old_recall), (new_precision, new_recall) = (
        precision_recall_fscore_support(labels, said, labels=names, zero_division=np.nan)[:2] for said in (old, new)
    )
    return [
        ClassChange(
            name,
            counts[name],
            float(old_recall[at]),
            float(new_recall[at]),
            *(None if np.isnan(each[at]) else float(each[at]) for each in (old_precision, new_precision)),
        )
        for at, name in enumerate(names)
    ]


def mcnemar(old_right: Array, new_right: Array) -> McNemar:
    """The test on which texts each bundle gets right, two arrays of bool in the same order."""
    lost, won = int((old_right & ~new_right).sum()), int((~old_right & new_right).sum())
    return McNemar(lost, won, float(binomtest(won, lost + won).pvalue) if lost + won else 1.0)
