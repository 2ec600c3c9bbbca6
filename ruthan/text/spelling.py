"""Steps for marks and vowels typed in another order, twice, or in two parts, and for letters held down.

Within a cluster this is `pythainlp.util.normalize`; the clusters are found here, so that each keeps its place.
"""

import re
from collections.abc import Iterator

from pythainlp.util import reorder_vowels

from ruthan.text.characters import MARKS, TONES, VOWEL_MARKS, replaced
from ruthan.text.lexicon import unknown
from ruthan.text.normalized import Edit, Step

SARA_E, SARA_AE = "\u0e40", "\u0e41"  # THAI CHARACTER SARA E, SARA AE
SARA_AA, SARA_AM, NIKHAHIT = "\u0e32", "\u0e33", "\u0e4d"

_SPLIT_SARA_AM = re.compile(f"{NIKHAHIT}([{TONES}]?){SARA_AA}")  # the tone is typed before or after
# A tone before the vowel mark it belongs above, or behind the vowel that follows it.
_ORDER = re.compile(f"[{TONES}{SARA_AA}{SARA_AM}](?:(?<=[{TONES}])[{VOWEL_MARKS}]|(?<=[{SARA_AA}{SARA_AM}])[{TONES}])")
# No mark follows a leading vowel. Either the consonant was typed too late (ไ่ม for ไม่) or too early (ดไ้ for ได้).
_MISPLACED = re.compile(f"([\u0e01-\u0e2e]?)([\u0e40-\u0e44])([{VOWEL_MARKS}{TONES}]+)([\u0e01-\u0e2e]?)")
_NEXT = re.compile("[\u0e01-\u0e4e]{0,8}")
_TWICE = re.compile(f"([{MARKS}])\\1+")
# Three of a letter are in no Thai word; ๆ and the vowels that end a word are held down as often as consonants.
_STRETCHED = re.compile("([\u0e01-\u0e30\u0e32\u0e46])\\1{2,}")


def _order(text: str) -> Iterator[Edit]:
    for match in _ORDER.finditer(text):
        yield Edit(match.start(), match.end(), str(reorder_vowels(match[0])))


def _misplaced_consonant(text: str) -> Iterator[Edit]:
    """Marks on a leading vowel go to the consonant before or after it, whichever leaves fewer unknown characters."""
    done = 0
    for match in _MISPLACED.finditer(text):
        before, vowel, marks, after = match.groups()
        readings = []
        if before and match.start() >= done:
            readings.append((vowel + before + marks + after, match.start(), [1, 0]))
        if after:
            readings.append((before + vowel + after + marks, match.end(), []))
        if readings:
            rest = _NEXT.match(text, match.end())
            around = text[max(done, match.start() - 6) : match.start()], rest[0] if rest else ""
            result = min(readings, key=lambda reading: unknown(around[0] + reading[0] + around[1]))[0]
            at = match.start()
            order = list(range(len(match[0])))
            if result.startswith(vowel) and before:
                order[0], order[1] = 1, 0
            else:
                first = len(before) + 1
                order[first:] = [len(order) - 1, *range(first, len(order) - 1)]
            done = match.end()
            yield Edit(at, match.end(), result, [at + each for each in order])


def _double_sara_e(text: str) -> Iterator[Edit]:
    at = text.find(SARA_E + SARA_E)
    while at >= 0:
        yield Edit(at, at + 2, SARA_AE)
        at = text.find(SARA_E + SARA_E, at + 2)


STEPS = (
    Step("sara_ae", _double_sara_e, triggers=frozenset(SARA_E)),
    Step(
        "sara_am",
        replaced(_SPLIT_SARA_AM, lambda match: match[1] + SARA_AM),
        triggers=frozenset(NIKHAHIT),
    ),
    Step("mark_order", _order),
    Step("misplaced_consonant", _misplaced_consonant),
    Step("repeated_marks", replaced(_TWICE, lambda match: match[1])),
    Step("stretched_letters", replaced(_STRETCHED, lambda match: match[1])),
)
