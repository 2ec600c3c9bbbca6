"""Challenge sets: frozen texts that no model is ever trained on, each set with one question.

A line is a corpus record with two more fields: `why`, a sentence on what makes it worth asking, and `disguise`, how the
text was disguised, or null.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from train.corpus.near_duplicates import NearDuplicateIndex
from train.corpus.records import Record, parse_record, read_lines
from train.errors import CorpusError

NEAR = 0.5  # a training text this alike (Jaccard of 5-grams) to a challenge text gives the answer away
SEED = 0  # of what fills the slots of challenge texts, so that they stay the same


@dataclass(frozen=True)
class ChallengeRecord:
    """A record of a challenge set. `disguise` names the technique, or is None for a text as it would be written."""

    record: Record
    why: str | None
    disguise: str | None


def read_challenge(path: Path) -> list[tuple[str, ChallengeRecord]]:
    """`file:line` and entry of every line of a challenge set.

    :raises CorpusError: naming file, line and field, at the first that breaks a rule.
    """
    entries: list[tuple[str, ChallengeRecord]] = []
    places: dict[str, str] = {}
    for place, content in read_lines([path]):
        extra = {}
        for field in ("why", "disguise"):
            extra[field] = content.pop(field, None)
            if extra[field] is not None and not isinstance(extra[field], str):
                raise CorpusError(f"{place}: {field} must be a text or null")
        record = parse_record(content, place)
        if record.id in places:
            raise CorpusError(f"{place}: id {record.id!r} stands already at {places[record.id]}; give a new one")
        places[record.id] = place
        entries.append((place, ChallengeRecord(record, extra["why"], extra["disguise"])))
    if not entries:
        raise CorpusError(f"{path} is empty")
    for place, entry in entries:
        if entry.record.pair is not None and entry.record.pair not in places:
            raise CorpusError(f"{place}: pair {entry.record.pair!r} does not exist; name an id of the set or null")
    return entries


def read_challenges(folder: Path) -> dict[str, list[tuple[str, ChallengeRecord]]]:
    """Every challenge set in `folder`, by name.

    :raises CorpusError: there is none, or a line breaks a rule.
    """
    sets = {path.stem: read_challenge(path) for path in sorted(folder.glob("*.jsonl"))}
    if not sets:
        raise CorpusError(f"no challenge set in {folder}; name its folder, or train with --set challenge=null")
    return sets


def near_challenge(records: Iterable[Record], folder: Path) -> Iterator[tuple[Record, str, ChallengeRecord, float]]:
    """Records that come near a challenge text: the record, where the challenge text stands, it, and how alike."""
    entries = [each for entries in read_challenges(folder).values() for each in entries if not each[1].disguise]
    index = NearDuplicateIndex(NEAR)
    for _, entry in entries:
        index.add(entry.record.text)
    for record in records:
        for number, alike in index.find(record.text)[:1]:
            yield record, *entries[number], alike


def keep_apart(records: Iterable[Record], folder: Path) -> None:
    """See to it that no training text comes near a challenge text.

    :raises CorpusError: naming the first that does.
    """
    for record, place, entry, alike in near_challenge(records, folder):
        raise CorpusError(
            f"{record.id} is {alike:.0%} like {entry.record.id} at {place}, which must never be trained on; "
            "take it out of the training texts (python -m train.corpus check lists all)"
        )
