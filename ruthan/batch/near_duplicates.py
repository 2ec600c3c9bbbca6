r"""Texts that are copies of each other, or nearly: by a template without numbers, links and ids, and by MinHash keys.

>>> template("ด่วน! รับเงินกู้ 50,000 บาท คลิก https://abc.example/x1 หรือโทร 081-000-5678")
'ด่วน! รับเงินกู้ # บาท คลิก § หรือโทร #'

Two texts are near-duplicates if they share one key of `near_duplicate_keys`. That is a relation without an order: what
belongs together hangs neither on which text comes first nor on which were compared before. Each key holds for
`ROWS` equal minima, so that texts share one with probability 1 - (1 - J^ROWS)^BANDS at a Jaccard similarity J of
their character 5-grams: 0.9999 at 0.9, 0.96 at 0.8, 0.60 at 0.7, 0.04 at 0.5 and 0.00001 at 0.2, as alike as different
messages of one kind are at most. Nothing is confirmed afterwards, so the curve is steep on purpose.

MinHash is written out here, in numpy: keys are kept in files from run to run, so they may never change with the version
of a library, and the ones there are would bring scipy (datasketch) or promise no such thing yet (rensa).
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from ruthan.evidence.contacts import find_facebook_names, find_line_ids, find_telegram_ids
from ruthan.text.normalize import normalize
from ruthan.text.normalized import NormalizedText

SHINGLE = 5  # characters; Thai has no blanks between words
BANDS, ROWS = 22, 9
LETTERS = 16  # a text with fewer letters says too little for the rest of it to be left out
LONGEST = 20_000  # characters of a text that count for its keys: no message is longer, and a book costs no more

Keys = NDArray[np.uint64]

_LINK = re.compile(
    r"(?:https?://|(?<![a-z0-9.-])www\.)[^\s<>\"'\u0e00-\u0e7f]+"
    r"|(?<![a-z0-9@._-])(?:[a-z0-9-]{1,63}\.){1,5}[a-z]{2,24}(?![a-z0-9-])(?::\d{1,5})?(?:[/?][^\s<>\"'\u0e00-\u0e7f]*)?"
)
_ADDRESS = re.compile(r"(?<![a-z0-9._%+-])[a-z0-9._%+-]{0,64}@ ?[a-z0-9][a-z0-9._-]*")
_CUES = re.compile(r"ไล|แอด|line|ไอดี|tele|เทเล|tg|fb|facebook|เฟ")  # without one of them no id stands behind a cue
_TOKEN = re.compile(r"[a-z0-9_]+")
_HIDDEN = re.compile(r"x{2,}")  # what masking leaves
_SIDE_BY_SIDE = re.compile(r"\+?#(?:[ .,:/+*()-]*#)*")
_MARKS = "\u0e31-\u0e3a\u0e47-\u0e4e"  # Thai vowels and tones above and below, which \w does not hold
_NOT_LETTERS = re.compile(rf"(?:[^\w{_MARKS}]|[\d_])+")


def template(text: NormalizedText | str) -> str:
    """The normalised text in small letters, with `§` for each link and `#` for each number, address and id.

    A text that has fewer than `LETTERS` letters besides keeps them: two bare links are no copies of each other.
    """
    return _template(_small(text))


def template_id(text: NormalizedText | str) -> str:
    """16 hexadecimal digits of the SHA-256 of the template."""
    return _digest(template(text))


def near_duplicate_keys(text: NormalizedText | str) -> Keys:
    """`BANDS` numbers; texts that share one are near-duplicates. Blanks, punctuation, emoji and case do not count.

    None for a text with fewer than `LETTERS` letters: only its template says what it is a copy of.
    """
    return _keys(_letters(_masked(_small(text))))


def template_id_and_keys(text: NormalizedText | str) -> tuple[str, Keys]:
    """Both, for little more than the price of one."""
    small = _small(text)
    masked = _masked(small)
    letters = _letters(masked)
    return _digest(masked if len(letters) >= LETTERS else small), _keys(letters)


def group_near_duplicates(texts: Iterable[str]) -> list[int]:
    """For each text the number of the first text of its group: equal templates, and what shared keys tie together."""
    sets = DisjointSets()
    first: dict[str, int] = {}
    keys: list[Keys] = []
    for number, text in enumerate(texts):
        sets.add()
        name, own = template_id_and_keys(text)
        keys.append(own)
        sets.join(first.setdefault(name, number), number)
    for one, other in equal_keys(keys):
        sets.join(one, other)
    return [sets.find(number) for number in range(len(keys))]


def equal_keys(keys: Sequence[Keys]) -> Iterator[tuple[int, int]]:
    """Pairs of places in `keys` that hold an equal key: not all of them, but enough to tie all together."""
    if not keys:
        return
    every = np.concatenate(keys)
    owners = np.repeat(np.arange(len(keys)), [len(each) for each in keys])
    order = np.argsort(every, kind="stable")
    every, owners = every[order], owners[order]
    same = np.flatnonzero(every[1:] == every[:-1])
    yield from zip(owners[same].tolist(), owners[same + 1].tolist(), strict=True)


class DisjointSets:
    """Numbers from 0 on in sets that can be joined; a set is named by its smallest number."""

    def __init__(self, size: int = 0) -> None:
        self._above = list(range(size))

    def add(self) -> int:
        """A new number, in a set of its own."""
        self._above.append(len(self._above))
        return len(self._above) - 1

    def find(self, number: int) -> int:
        """The smallest number of the set that `number` is in."""
        above = self._above
        while above[number] != number:
            above[number] = above[above[number]]
            number = above[number]
        return number

    def join(self, one: int, other: int) -> None:
        """Make one set of the two that these are in."""
        one, other = self.find(one), self.find(other)
        if one != other:
            self._above[max(one, other)] = min(one, other)


def _small(text: NormalizedText | str) -> str:
    normalized = normalize(text) if isinstance(text, str) else text
    return " ".join(normalized.text.lower().split())


def _template(small: str) -> str:
    masked = _masked(small)
    return masked if len(_letters(masked)) >= LETTERS else small


def _masked(text: str) -> str:
    text = _ADDRESS.sub("#", _LINK.sub("§", text))
    if _CUES.search(text):
        for detector in (find_line_ids, find_telegram_ids, find_facebook_names):
            spans = sorted({(found.start, found.end) for found in detector(text)}, reverse=True)
            for start, end in spans:
                text = text[:start] + "#" * (end - start) + text[end:]
    return _SIDE_BY_SIDE.sub("#", _TOKEN.sub(_without_number, text))


def _without_number(match: re.Match[str]) -> str:
    token = match[0]
    return token if token.isalpha() and not _HIDDEN.search(token) else "#"


def _letters(masked: str) -> str:
    return _NOT_LETTERS.sub("", masked)


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _constants(count: int, seed: int) -> Keys:
    """Numbers of the sequence of SplitMix64, which no library can change."""
    numbers = []
    for number in range(seed, seed + count):
        value = (number + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        value = (value ^ value >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        numbers.append(value ^ value >> 31)
    return np.array(numbers, dtype="<u8")


_PLACES = _constants(SHINGLE, 0) | np.uint64(1)
_FACTORS = (_constants(BANDS * ROWS, 1_000) | np.uint64(1))[:, np.newaxis]
_SUMMANDS = _constants(BANDS * ROWS, 2_000)[:, np.newaxis]
_ROW_FACTORS = _constants(ROWS, 3_000) | np.uint64(1)
_BAND_SUMMANDS = _constants(BANDS, 4_000)
_BLOCK = 512  # shingles at a time: what is in hand stays in the processor's cache, however long a text
_NONE: Keys = np.empty(0, dtype="<u8")


def _mixed(numbers: Keys) -> Keys:
    numbers = (numbers ^ numbers >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ numbers >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return numbers ^ numbers >> np.uint64(31)


def _keys(letters: str) -> Keys:
    if len(letters) < LETTERS:
        return _NONE
    codes = np.frombuffer(letters[:LONGEST].encode("utf-32-le", "surrogatepass"), dtype="<u4").astype("<u8")
    count = len(codes) - SHINGLE + 1
    shingles = codes[:count] * _PLACES[0]
    for place in range(1, SHINGLE):
        shingles = shingles + codes[place : place + count] * _PLACES[place]
    shingles = _mixed(shingles)
    minima: Keys | None = None
    for start in range(0, count, _BLOCK):
        block = (shingles[start : start + _BLOCK] * _FACTORS + _SUMMANDS).min(axis=1)
        minima = block if minima is None else np.minimum(minima, block)
    assert minima is not None
    return _mixed((minima.reshape(BANDS, ROWS) * _ROW_FACTORS).sum(axis=1, dtype=np.uint64) + _BAND_SUMMANDS)
