"""Texts that say nearly the same: found by MinHash, confirmed by the Jaccard similarity of their character 5-grams.

Digits, blanks, punctuation, slots, disguises and case make no difference.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from datasketch import MinHash, MinHashLSH
from scipy.cluster.hierarchy import DisjointSet

from ruthan.text.normalize import normalize
from train.slots import SLOT

PERMUTATIONS = 96
SHINGLE = 5

_MARKS = "\u0e31-\u0e3a\u0e47-\u0e4e"  # Thai vowels and tones above and below, which \W would take for blanks
_NOT_LETTERS = re.compile(rf"(?:(?![{_MARKS}])[\W\d_])+")


def skeleton(text: str) -> str:
    """The letters of a text, and only they, in lower case."""
    return _NOT_LETTERS.sub("", normalize(SLOT.sub(" ", text)).text).lower()


def text_digest(text: str) -> str:
    """16 hexadecimal digits that name a text by its letters and marks; by all of it where it has none.

    Lists in `data/splits/` hold such digests, so this must not change with the normaliser, as `skeleton` does.
    """
    folded = unicodedata.normalize("NFKC", SLOT.sub(" ", text)).casefold().replace("\u0e40\u0e40", "\u0e41")
    letters = "".join(character for character in folded if unicodedata.category(character)[0] in "LM")
    return sha256((letters or text.strip()).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def shingles(text: str) -> frozenset[str]:
    """The character 5-grams of the skeleton, or of the text where it has no letters; of a shorter one, itself."""
    bare = skeleton(text) or text.strip()
    return frozenset(bare[at : at + SHINGLE] for at in range(max(1, len(bare) - SHINGLE + 1)))


def similarity(one: frozenset[str], other: frozenset[str]) -> float:
    """Jaccard similarity, 0 to 1."""
    return len(one & other) / len(one | other)


class NearDuplicateIndex:
    """Finds, among the texts added so far, those at least `threshold` alike (Jaccard, 0 to 1)."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        # Likelier to compare two texts for nothing than to miss two that are alike.
        self._index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, weights=(0.1, 0.9))
        self._shingles: list[frozenset[str]] = []

    def add(self, text: str) -> list[tuple[int, float]]:
        """Number (order of adding) and similarity of the texts that are like this one; then add this one."""
        found = self.find(text)
        self._index.insert(len(self._shingles), self._hash(shingles(text)))
        self._shingles.append(shingles(text))
        return found

    def find(self, text: str) -> list[tuple[int, float]]:
        """Number and similarity of the texts that are like this one, the most similar first."""
        mine = shingles(text)
        alike = [(number, similarity(mine, self._shingles[number])) for number in self._index.query(self._hash(mine))]
        return sorted((each for each in alike if each[1] >= self.threshold), key=lambda each: (-each[1], each[0]))

    @staticmethod
    def _hash(mine: frozenset[str]) -> MinHash:
        result = MinHash(num_perm=PERMUTATIONS)
        result.update_batch([shingle.encode("utf-8", "surrogatepass") for shingle in sorted(mine)])
        return result


def near_duplicates(texts: Iterable[str], threshold: float) -> Iterator[tuple[int, int, float]]:
    """Pairs of texts at least `threshold` alike: the numbers of the earlier and the later one, and how alike."""
    index = NearDuplicateIndex(threshold)
    for number, text in enumerate(texts):
        for earlier, alike in index.add(text):
            yield earlier, number, alike


def clusters(texts: Sequence[str], threshold: float) -> list[int]:
    """For each text the number of the first text of its cluster: what near-duplicates tie together."""
    sets = DisjointSet(range(len(texts)))
    for earlier, later, _ in near_duplicates(texts, threshold):
        sets.merge(earlier, later)
    first: dict[int, int] = {}
    return [first.setdefault(sets[number], number) for number in range(len(texts))]
