"""Everything that must hold for the corpus before training time is spent on it.

python -m train.corpus check
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruthan.taxonomy import BENIGN, default_taxonomy
from train.config import TrainConfig
from train.corpus.challenge import near_challenge, read_challenges
from train.corpus.identifiers import written_identifiers
from train.corpus.near_duplicates import near_duplicates, text_digest
from train.corpus.records import Record, read_with_places
from train.corpus.shortcuts import audit_shortcuts
from train.corpus.splits import groups, read_digests, split_corpus

NEAR = 0.5  # texts of different families that are this alike (Jaccard of 5-grams) are one too many

# What the corpus promises, in families.
MOST_HARMFUL = 0.5
FEWEST = {"every harmful class": 150, "trafficking": 600, "job_ad": 400}
FEWEST_IN_LANGUAGE = {"en": 300, "zh": 60, "my": 60, "lo": 60, "km": 60, "vi": 60, "th-karaoke": 60, "th-en": 60}

Placed = Sequence[tuple[str, Record]]


@dataclass(frozen=True)
class CheckResult:
    """What was found wrong, one sentence each with its place and remedy, and tables for people to read."""

    problems: list[str]
    tables: str


def check(corpus: Iterable[Path], challenge: Path | None, splits: Path | None, complete: bool = True) -> CheckResult:
    """Check the corpus, against the challenge sets in `challenge` and the digest lists in `splits` where given.

    `complete` also holds it to the sizes that the shipped corpus promises and to the bounds on shortcuts.

    :raises CorpusError: a record breaks the schema; nothing else can be checked then.
    """
    placed = read_with_places(corpus)
    records = [record for _, record in placed]
    problems = [*_duplicates(placed), *_identifiers(placed), *_sides(records)]
    if challenge is not None:
        for entries in read_challenges(challenge).values():
            problems += _identifiers([(place, entry.record) for place, entry in entries if not entry.disguise])
            # A disguised text may break the address of its pair, which is a slot or example.com, in any way.
            disguised = [(place, entry.record) for place, entry in entries if entry.disguise]
            problems += [problem for problem in _identifiers(disguised) if " has a link " not in problem]
        places = {record.id: place for place, record in placed}
        for record, place, entry, alike in near_challenge(records, challenge):
            problems.append(
                f"{places[record.id]}: {record.id} is {alike:.0%} like {entry.record.id} at {place}, which must never "
                "be trained on; drop it or write it anew"
            )
    if splits is not None:
        problems += _held_out_apart(placed, splits)
    tables = balance_tables(records)
    if complete:
        problems += _sizes(records)
        audit = audit_shortcuts(records)
        problems += audit.problems
        tables += "\n" + audit.tables
    return CheckResult(problems, tables)


def _duplicates(placed: Placed) -> Iterator[str]:
    """Texts of different families that are the same, or nearly, and are not tied together by a pair."""
    group = groups([record for _, record in placed])
    seen: dict[str, tuple[str, Record]] = {}
    for place, record in placed:
        first_place, first = seen.setdefault(text_digest(record.text), (place, record))
        if first.family != record.family:
            yield f"{place}: {record.id} says the same as {first.id} at {first_place}; drop it or write it anew"
    for one, other, alike in near_duplicates((record.text for _, record in placed), NEAR):
        (first_place, first), (place, record) = placed[one], placed[other]
        if group[first.family] != group[record.family] and text_digest(first.text) != text_digest(record.text):
            yield (
                f"{place}: {record.id} is {alike:.0%} like {first.id} at {first_place}; write it anew, or give both "
                "one family if one paraphrases the other"
            )


def _identifiers(placed: Placed) -> Iterator[str]:
    for place, record in placed:
        for kind, written in written_identifiers(record.text):
            yield (
                f"{place}: {record.id} has a {kind} written out ({written}); use a slot, or list it in "
                "data/public_contacts.yaml if it belongs to the public"
            )


def _sides(records: Sequence[Record]) -> Iterator[str]:
    """Families, and pairs, that a run with the default seed and shares would see on two sides."""
    defaults = TrainConfig(name="default")
    parts = split_corpus(records, defaults.seed, defaults.split)
    side = {record.id: name for name, part in parts.items() for record in part}
    first: dict[str, Record] = {}
    for record in records:
        other = first.setdefault(record.family, record)
        for relative in (other.id, record.pair):
            if relative is not None and side[relative] != side[record.id]:
                yield f"{record.id} falls into {side[record.id]} and {relative}, tied to it, into {side[relative]}"


def _held_out_apart(placed: Placed, splits: Path) -> Iterator[str]:
    """Corpus texts that a list of held-out real texts names."""
    for path in sorted(splits.glob("*.txt")):
        held_out = read_digests(path)
        for place, record in placed:
            if text_digest(record.text) in held_out:
                yield f"{place}: {record.id} is a text that {path} holds out for judging; drop it or write it anew"


def _sizes(records: Sequence[Record]) -> Iterator[str]:
    families = {record.family: record for record in records}.values()
    labels = Counter(record.label for record in families)
    harmful = sum(count for label, count in labels.items() if label != BENIGN)
    if harmful > MOST_HARMFUL * len(families):
        yield f"{harmful} of {len(families)} families are harmful; at most {MOST_HARMFUL:.0%} may be: add honest texts"
    wanted = {label: FEWEST["every harmful class"] for label in default_taxonomy().labels if label != BENIGN}
    wanted["trafficking"] = FEWEST["trafficking"]
    kinds = Counter(record.kind for record in families)
    languages = Counter(record.lang for record in families)
    for name, count, least in (
        *((label, labels[label], least) for label, least in wanted.items()),
        ("job_ad", kinds["job_ad"], FEWEST["job_ad"]),
        *((language, languages[language], least) for language, least in FEWEST_IN_LANGUAGE.items()),
    ):
        if count < least:
            yield f"{name} has {count} families, {least} are promised; add {least - count}"


def balance_tables(records: Sequence[Record]) -> str:
    """How many records there are by class, channel, language and kind."""
    lines = [
        f"{len(records)} records in {len({record.family for record in records})} families, "
        f"{sum(record.label != BENIGN for record in records)} harmful"
    ]
    for field in ("channel", "lang"):
        cells: dict[str, Counter[str]] = defaultdict(Counter)
        for record in records:
            cells[record.label][getattr(record, field)] += 1
        columns = [name for name, _ in Counter(getattr(record, field) for record in records).most_common()]
        lines += ["", _table(["class", *columns, "all"], [
            [label, *(cells[label][column] for column in columns), sum(cells[label].values())]
            for label in default_taxonomy().labels
        ])]  # fmt: skip
    kinds = Counter(record.kind for record in records if record.kind)
    lines += ["", _table(["kind of benign", "records"], [[kind, count] for kind, count in kinds.most_common()])]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
