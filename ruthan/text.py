r"""Make the disguises and typing habits of Thai messages look alike, with a map back to the text as received.

>>> normalize("เเจ้งเตือน\u200bบัญชี ๑๒๓").text
'แจ้งเตือนบัญชี 123'

A clean text passes through unchanged. Only a copy is changed: evidence is always reported on the original.
"""

import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

# On import pythainlp would make a folder in the user's home, and fail where there is none to write to.
if "PYTHAINLP_READ_MODE" not in os.environ:
    os.environ.setdefault("PYTHAINLP_READ_ONLY", "1")

from pythainlp import thai_digits, thai_tonemarks

# Written into every bundle: a model must see texts prepared the way its training texts were.
NORMALIZER_VERSION = "1"

SARA_E, SARA_AE = "\u0e40", "\u0e41"  # THAI CHARACTER SARA E, SARA AE
SARA_AA, SARA_AM, NIKHAHIT = "\u0e32", "\u0e33", "\u0e4d"


@dataclass(frozen=True)
class NormalizedText:
    """A normalised copy of a text.

    `offsets[i]` is the code point in the original at which character `i` of `text` begins; a last entry
    holds the length of the original.
    """

    text: str
    offsets: list[int]

    def to_original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that became `text[start:end]`.

        :raises ValueError: the span is empty or lies outside the text.
        """
        if not 0 <= start < end <= len(self.text):
            raise ValueError(f"no span {start}:{end} in a text of {len(self.text)} characters")
        return self.offsets[start], self.offsets[end]


def _replacements(pattern: re.Pattern[str], by: str | Callable[[re.Match[str]], str]) -> Callable[..., NormalizedText]:
    """A step that replaces each match of `pattern`; what replaces it begins where the match began."""

    def step(before: NormalizedText) -> NormalizedText:
        pieces: list[str] = []
        offsets: list[int] = []
        at = 0
        for match in pattern.finditer(before.text):
            replacement = by(match) if callable(by) else by
            pieces += [before.text[at : match.start()], replacement]
            offsets += before.offsets[at : match.start()]
            offsets += [before.offsets[match.start()]] * len(replacement)
            at = match.end()
        if not pieces:
            return before
        pieces.append(before.text[at:])
        offsets += before.offsets[at:]
        return NormalizedText("".join(pieces), offsets)

    return step


# Control characters but tab and line breaks; soft hyphen, zero-width space, bidi controls, word joiner, BOM.
_INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
# The joiners go only behind Thai and ASCII: Burmese and Khmer spell with them and emoji are built with them.
# Not pythainlp.util.remove_zw, which takes U+200B and U+200C away everywhere.
_JOINERS = re.compile("(?<=[\x21-\x7e\u0e00-\u0e7f])[\u200c\u200d]+")
_SURROGATE = re.compile("[\ud800-\udfff]")
_DOUBLE_SARA_E = re.compile(SARA_E + SARA_E)
_SPLIT_SARA_AM = re.compile(f"{NIKHAHIT}([{thai_tonemarks}]?){SARA_AA}")  # the tone is typed before or after
# Full-width ASCII, Thai and Lao digits. Character by character and not NFKC over the whole text, which would
# split every SARA AM in two.
_WIDE = re.compile(f"[\uff01-\uff5e{thai_digits}\u0ed0-\u0ed9\u3000]")
_BLANKS = re.compile("[ \t\xa0]{2,}|[\t\xa0]")
_LINE_BREAKS = re.compile("\r\n?|\u2028|\u2029")


def _narrow(match: re.Match[str]) -> str:
    character = match[0]
    return str(unicodedata.digit(character)) if character.isdigit() else unicodedata.normalize("NFKC", character)


drop_invisible = _replacements(_INVISIBLE, "")
drop_joiners = _replacements(_JOINERS, "")
replace_surrogates = _replacements(_SURROGATE, "\ufffd")
join_sara_e = _replacements(_DOUBLE_SARA_E, SARA_AE)
join_sara_am = _replacements(_SPLIT_SARA_AM, lambda match: match[1] + SARA_AM)
narrow_characters = _replacements(_WIDE, _narrow)
collapse_blanks = _replacements(_BLANKS, " ")
unify_line_breaks = _replacements(_LINE_BREAKS, "\n")

STEPS = (
    replace_surrogates,
    unify_line_breaks,
    narrow_characters,
    drop_invisible,
    drop_joiners,
    join_sara_e,
    join_sara_am,
    collapse_blanks,
)


def normalize(text: str) -> NormalizedText:
    """Apply `STEPS` one after another. Never raises, whatever the text holds."""
    result = NormalizedText(text, list(range(len(text) + 1)))
    for step in STEPS:
        result = step(result)
    return result
