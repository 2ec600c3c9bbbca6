"""Which Thai words are known, so that a disguise is undone only where it yields words.

Tone marks make no difference: they are what careless and disguised spelling changes first.
"""

import re
from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Any

from pythainlp.corpus import thai_words, tnc

from ruthan.resources import read_yaml, shipped
from ruthan.text.characters import TONES

_TONES = re.compile(f"[{TONES}\u0e47\u0e4c]")
COMMON = 4_000  # occurrences in the Thai National Corpus from which a word of two characters counts as known
LONGEST = 20
_FOLLOWERS = frozenset(
    "\u0e30\u0e31\u0e32\u0e33\u0e34\u0e35\u0e36\u0e37\u0e38\u0e39\u0e3a\u0e45"
)  # vowels that begin no word


@cache
def spellings() -> dict[str, Any]:
    """`data/spellings.yaml`."""
    content: dict[str, Any] = read_yaml(shipped("data", "spellings.yaml"))
    return content


def bare(text: str) -> str:
    """`text` without tone marks, MAITAIKHU and THANTHAKHAT."""
    return _TONES.sub("", text)


@cache
def known_words() -> dict[str, int]:
    """Bare forms of the words of pythainlp's dictionary (CC0), the common ones only of short words, and of ours; to
    how often each stands in the Thai National Corpus.
    """
    frequency = dict(tnc.word_freqs())
    words = {word for word in thai_words() if len(bare(word)) > 2 or frequency.get(word, 0) >= COMMON}
    words |= set(spellings()["words"].split()) | set(spellings()["spellings"]) | set(spellings()["romanised"])
    known = dict.fromkeys("ๆณฯ", COMMON)
    for word in words:
        if 1 < len(word) <= LONGEST:
            known[bare(word)] = known.get(bare(word), 0) + frequency.get(word, 0)
    return known


@lru_cache(maxsize=20_000)
def divide(text: str) -> tuple[int, tuple[tuple[int, int], ...]]:
    """How many characters of a bare Thai text no known word covers, at best, and the words of that reading as spans.

    Of readings that cover as much, the one with the fewest words.
    """
    known = known_words()
    best: list[tuple[int, int]] = [(0, 0)]  # unknown characters and words of the best reading of each beginning
    step: list[int] = [0]  # where the last word of that reading begins, or -1 behind an unknown character
    for end in range(1, len(text) + 1):
        unknown, words = best[end - 1]
        choice, start = (unknown + 1, words), -1
        word_ends = end == len(text) or text[end] not in _FOLLOWERS
        for begin in range(max(0, end - LONGEST), end) if word_ends else ():
            if text[begin:end] in known:
                candidate = best[begin][0], best[begin][1] + 1
                if candidate < choice:
                    choice, start = candidate, begin
        best.append(choice)
        step.append(start)
    spans: list[tuple[int, int]] = []
    at = len(text)
    while at:
        if step[at] >= 0:
            spans.append((step[at], at))
        at = step[at] if step[at] >= 0 else at - 1
    return best[-1][0], tuple(reversed(spans))


def unknown(text: str) -> int:
    """How many characters of a Thai text are in no known word, at best."""
    return divide(bare(text))[0]


def oddness(texts: Iterable[str]) -> tuple[int, int, int, int]:
    """How unlikely a reading of some Thai texts is, to compare it with another: characters in no known word, known
    words, those of them whose tones are wrong, and how rare the rarest of them is (less is commoner).
    """
    left_over = words = wrong = 0
    counts = []
    for text in texts:
        unread, spans = divide(bare(text))
        left_over += unread
        words += len(spans)
        places = [at for at, character in enumerate(text) if bare(character)] + [len(text)]
        for start, end in spans:
            counts.append(known_words()[bare(text)[start:end]])
            wrong += text[places[start] : places[end]] not in thai_words()
    return left_over, words, wrong, -min(counts, default=0)
