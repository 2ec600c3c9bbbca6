"""Steps for single characters: invisible ones, reversed runs, wide and circled forms, letters of other scripts.

None of them is NFKC over the whole text: that would split every SARA AM in two.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

from ruthan.text.normalized import Edit, Step

# Classes for patterns: Thai letters, vowels and tone marks, no digits, no ฿; tones; all marks above and below.
THAI = "\u0e01-\u0e3a\u0e40-\u0e4e"
TONES = "\u0e48-\u0e4b"
VOWEL_MARKS = "\u0e31\u0e34-\u0e3a\u0e47"
MARKS = f"{VOWEL_MARKS}{TONES}\u0e4c-\u0e4e"

LETTERS_FROM = {  # Latin letters that Cyrillic and Greek ones look like (Unicode Technical Standard 39, confusables)
    **dict(zip("АВЕЅІЈКМНОРСТХУЗаеіјорсухѕһԁԛԝ", "ABESIJKMHOPCTXY3aeijopcyxshdqw", strict=True)),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧονικρ", "ABEZHIKMNOPTYXovikp", strict=True)),
}


def replaced(pattern: re.Pattern[str], by: str | Callable[[re.Match[str]], str]) -> Callable[[str], Iterator[Edit]]:
    """The edits that put `by` in the place of each match."""

    def find(text: str) -> Iterator[Edit]:
        for match in pattern.finditer(text):
            yield Edit(match.start(), match.end(), by(match) if callable(by) else by)

    return find


def characters_between(*ranges: tuple[int, int]) -> frozenset[str]:
    """All characters of some ranges of code points, both ends included."""
    return frozenset(chr(code) for first, last in ranges for code in range(first, last + 1))


# Control characters but tab and line breaks; soft hyphen, zero-width space, marks of direction, word joiner, BOM.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]+")
_ZERO_WIDTH = re.compile("[\xad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]+")
# The joiners go only behind Thai and ASCII: Burmese and Khmer spell with them and emoji are built with them.
# Not pythainlp.util.remove_zw, which takes U+200B and U+200C away everywhere.
_JOINERS = re.compile("(?<=[\x21-\x7e\u0e00-\u0e7f])[\u200c\u200d]+")
_OVERRIDE = re.compile("\u202e([^\u202a-\u202e\u2066-\u2069\n]{1,500})(?:\u202c|(?=\n)|$)")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINE_BREAKS = re.compile("\r\n?|\u2028|\u2029")
_BLANKS = re.compile("[ \t\xa0]{2,}|[\t\xa0]")
_DIGITS = re.compile("[\u0e50-\u0e59\u0ed0-\u0ed9]+")  # Thai, Lao
_KEYCAP = re.compile("(?<=[0-9#*])\ufe0f?\u20e3")


@cache
def _forms() -> dict[str, str]:
    """Full-width, circled, squared and mathematical letters and digits, to plain ones."""
    table = {"\u3000": " "} | {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    for first, last in ((0x2460, 0x24FF), (0x2776, 0x2793), (0x1D400, 0x1D7FF), (0x1F130, 0x1F189)):
        for code in range(first, last + 1):
            plain = unicodedata.normalize("NFKC", chr(code)).strip("().")
            if not plain.isascii():  # a black circle or square around it, which NFKC keeps
                value = unicodedata.numeric(chr(code), -1)
                plain = str(int(value)) if value >= 0 else unicodedata.name(chr(code), "")[-1:]
            if plain.isascii() and plain.isalnum():
                table[chr(code)] = plain
    return table


def _display_order(text: str) -> Iterator[Edit]:
    """A run between RIGHT-TO-LEFT OVERRIDE and its end is shown backwards: read it as it is shown."""
    for match in _OVERRIDE.finditer(text):
        start, end = match.span(1)
        order = [end - 1 - at for at in range(end - start)]
        yield Edit(match.start(), match.end(), text[start:end][::-1], order)


def _plain_forms(text: str) -> Iterator[Edit]:
    forms = _forms()
    start = None
    for at, character in enumerate(text + "\n"):
        if character in forms:
            start = at if start is None else start
        elif start is not None:
            yield from _joined_forms(text, start, at)
            start = None


def _joined_forms(text: str, start: int, end: int) -> Iterator[Edit]:
    """One edit for a run of such forms; one each where a form stands for several characters, such as ⑩."""
    plain = [_forms()[character] for character in text[start:end]]
    if all(len(each) == 1 for each in plain):
        yield Edit(start, end, "".join(plain))
    else:
        for at, each in enumerate(plain, start):
            yield Edit(at, at + 1, each)


_LATIN_RUN = re.compile("[A-Za-z\u0370-\u03ff\u0400-\u052f]{2,60}")
_ASCII_LETTER = re.compile("[A-Za-z]")
_LAO_RUN = re.compile("[\u0e01-\u0e3a\u0e40-\u0e4e\u0e80-\u0ecf]{2,200}")
_ASSIGNED = {chr(code): chr(code - 0x80) for code in range(0x0E81, 0x0ECE) if unicodedata.name(chr(code), "")}


def _latin_lookalikes(text: str) -> Iterator[Edit]:
    """Cyrillic and Greek letters in a word that has more Latin ones, none of them without a Latin look-alike."""
    for match in _LATIN_RUN.finditer(text):
        word = match[0]
        latin = len(_ASCII_LETTER.findall(word))
        foreign = [letter for letter in word if not letter.isascii()]
        if latin and foreign and latin >= len(foreign) and all(letter in LETTERS_FROM for letter in foreign):
            yield Edit(*match.span(), "".join(LETTERS_FROM.get(letter, letter) for letter in word))


def _lao_lookalikes(text: str) -> Iterator[Edit]:
    """Lao letters in a word with Thai ones: up to two, or wherever the scripts change to and fro. The two blocks have
    the same order, 128 apart.
    """
    for match in _LAO_RUN.finditer(text):
        word = match[0]
        lao = [letter in _ASSIGNED for letter in word]
        changes = sum(one != other for one, other in pairwise(lao))
        if changes >= 2 or (changes == 1 and sum(lao) <= 2):
            yield Edit(*match.span(), "".join(_ASSIGNED.get(letter, letter) for letter in word))


STEPS = (
    Step("invalid_characters", replaced(_SURROGATE, "\ufffd"), triggers=characters_between((0xD800, 0xDFFF))),
    Step("line_breaks", replaced(_LINE_BREAKS, "\n"), triggers=frozenset("\r\u2028\u2029")),
    Step("reversed_run", _display_order, disguise=True, triggers=frozenset("\u202e")),
    Step(
        "control_characters",
        replaced(_CONTROLS, ""),
        triggers=characters_between((0, 8), (11, 12), (14, 31), (0x7F, 0x9F)),
    ),
    Step(
        "invisible_characters",
        replaced(_ZERO_WIDTH, ""),
        triggers=characters_between(
            (0xAD, 0xAD), (0x200B, 0x200B), (0x200E, 0x200F), (0x202A, 0x202E), (0x2060, 0x2069)
        )
        | {"\ufeff"},
    ),
    Step("joiners", replaced(_JOINERS, ""), triggers=frozenset("\u200c\u200d")),
    Step("character_forms", _plain_forms, triggers=frozenset(_forms())),
    Step("keycaps", replaced(_KEYCAP, ""), triggers=frozenset("\u20e3")),
    Step(
        "digits",
        replaced(_DIGITS, lambda match: "".join(str(unicodedata.digit(digit)) for digit in match[0])),
        triggers=characters_between((0xE50, 0xE59), (0xED0, 0xED9)),
    ),
    Step("lao_letters", _lao_lookalikes, disguise=True, triggers=frozenset(_ASSIGNED)),
    Step("latin_lookalikes", _latin_lookalikes, disguise=True, triggers=frozenset(LETTERS_FROM)),
)

VISIBLE = STEPS[:5]  # what must be done to a text before it is shown: no controls, no escapes, no reversed runs


def _single_blanks(text: str) -> Iterator[Edit]:
    if "  " in text or "\t" in text or "\xa0" in text:  # a blank is in nearly every text: look before searching
        yield from replaced(_BLANKS, " ")(text)


BLANKS = Step("blanks", _single_blanks, triggers=frozenset(" \t\xa0"))
