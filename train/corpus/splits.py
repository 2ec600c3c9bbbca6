"""Divide records into parts so that nothing a model is judged on was seen in training."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from scipy.cluster.hierarchy import DisjointSet

from train.corpus.near_duplicates import clusters, text_digest
from train.corpus.records import Record
from train.errors import CorpusError

SPLITS = ("train", "calibration", "test")


def split_corpus(records: Sequence[Record], seed: int, shares: Sequence[float]) -> dict[str, list[Record]]:
    """Divide records into `train`, `calibration` and `test`, whole groups at a time.

    A group is all that families and pairs tie together. Which part it falls into depends on its smallest family and
    the seed alone, so that adding records moves none of the old ones but those they are tied to. `shares` sum to 1.
    """
    group = groups(records)
    parts: dict[str, list[Record]] = {name: [] for name in SPLITS}
    for record in records:
        digest = hashlib.sha256(f"{seed}:{group[record.family]}".encode()).digest()
        draw = int.from_bytes(digest[:8], "big") / 2**64
        part = SPLITS[0] if draw < shares[0] else SPLITS[1] if draw < shares[0] + shares[1] else SPLITS[2]
        parts[part].append(record)
    return parts


def groups(records: Sequence[Record]) -> dict[str, str]:
    """For each family the smallest family that pairs tie it to."""
    family_of = {record.id: record.family for record in records}
    sets = DisjointSet(sorted(set(family_of.values())))
    for record in records:
        if record.pair is not None:
            sets.merge(record.family, family_of[record.pair])
    smallest: dict[str, str] = {}
    return {family: smallest.setdefault(sets[family], family) for family in sorted(set(family_of.values()))}


def read_digests(path: Path) -> frozenset[str]:
    """The texts, named by `text_digest`, that a list in `data/splits/` keeps for judging or for calibration.

    :raises CorpusError: the list cannot be read or holds something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"cannot read {path}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from error
    digests = [line for line in lines if line and not line.startswith("#")]
    for number, line in enumerate(lines, start=1):
        if line and not line.startswith("#") and not re.fullmatch("[0-9a-f]{16}", line):
            raise CorpusError(f"{path}:{number}: {line[:20]!r} is no digest of 16 hexadecimal digits")
    if not digests:
        raise CorpusError(f"{path} names no text; an empty list would hold nothing out")
    return frozenset(digests)


def write_digests(path: Path, digests: Sequence[str], about: str) -> None:
    """Write a list of digests beside the old one and put it in its place; `about` is its first line.

    :raises CorpusError: there is nothing to write, or it cannot be written.
    """
    if not digests:
        raise CorpusError("no text was held out; give more texts or a larger share")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.partial")
        partial.write_text(f"# {about}\n" + "".join(f"{digest}\n" for digest in digests), encoding="utf-8")
        partial.replace(path)
    except (OSError, ValueError) as error:
        raise CorpusError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


def hold_out(texts: Sequence[str], share: float, seed: int, alike: float = 0.5) -> list[str]:
    """Digests of about `share` of the texts, 0 to 1, whole clusters of near-duplicates at a time, sorted.

    :raises CorpusError: the share is out of range.
    """
    if not 0 <= share <= 1:
        raise CorpusError(f"the share is {share}; expected 0 to 1")
    chosen: set[str] = set()
    for text, first in zip(texts, clusters(texts, alike), strict=True):
        draw = hashlib.sha256(f"{seed}:{text_digest(texts[first])}".encode()).digest()
        if int.from_bytes(draw[:8], "big") / 2**64 < share:
            chosen.add(text_digest(text))
    return sorted(chosen)
