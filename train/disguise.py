"""Rewrite a text as people do who want to slip past a filter, or who merely type that way.

Used on honest and on harmful texts alike, so that a disguise alone decides nothing. Links, addresses, ids with an @
and slots are left as they are, but by `split_links`.

>>> disguise("สมัครรับเครดิตฟรี", "dots", 1.0, Random(1))
'ส.มั.ค.ร.รั.บ.เ.ค.ร.ดิ.ต.ฟ.รี'
"""

import re
from collections.abc import Callable
from random import Random

from ruthan.text.spelling import NIKHAHIT, SARA_AA, SARA_AE, SARA_AM, SARA_E
from ruthan.text.words import words

from pythainlp import thai_digits, thai_tonemarks  # isort: skip  behind ruthan.text, which sets where it may write
from pythainlp.transliterate import romanize  # isort: skip

Rewrite = Callable[[str, Random, float], str]

_PROTECTED = re.compile(
    r"\{[^{}]{0,60}\}|(?:https?://|www\.)[^\s\u0e00-\u0e7f]{1,300}|[\w.+-]{1,60}@[\w.-]{1,60}|@[a-z0-9._-]{3,30}"
    r"|[a-z0-9-]{1,60}(?:\.[a-z0-9-]{1,30}){1,4}(?:/[^\s\u0e00-\u0e7f]{0,300})?",
    re.IGNORECASE,
)
_LINK = re.compile(
    r"(?:https?://|www\.)[^\s\u0e00-\u0e7f]{1,300}|[a-z0-9-]{2,60}(?:\.[a-z]{2,12}){1,3}/[a-z0-9]{2,60}", re.I
)
# A base letter with the marks above and below it: what a reader sees as one character.
_CELL = re.compile("[\u0e01-\u0e30\u0e32\u0e40-\u0e46][\u0e31\u0e34-\u0e3a\u0e47-\u0e4e]*\u0e33?")

# Seen in real messages: โuนัa, สล๊ot, แจ้งรัU, ไม๋ต้oง, ฟsี, 8ลิ๊ก.
_LATIN = {
    "อ": "o",
    "น": "u",
    "บ": "U",
    "ส": "a",
    "ร": "s",
    "ท": "n",
    "พ": "w",
    "ฟ": "W",
    "ค": "8",
    "เ": "l",
    "ว": "c",
    "า": "1",
}
_LAO = {chr(thai): chr(thai + 0x80) for thai in range(0x0E01, 0x0E2F) if chr(thai + 0x80).isalpha()}  # same order
_ZERO_WIDTH = "\u200b\u200c\u200d\u2060\ufeff"
_EMOJI = "🔥💰✨❤🎉✅⭐💥👉🎁"
_CONTACT = {
    "ไลน์": ("ไน์", "ลาย", "ไล", "L1ne", "Lเne", "ไลฯ"),
    "แอดไลน์": ("เเอดลาย", "aed line", "แอ็ดL", "แอดไน์"),
    "เครดิต": ("เครดิส", "เคดิต"),
    "โบนัส": ("โบนัด", "โบนัซ"),
    "เว็บ": ("เวป", "เว๊บ", "Web"),
    "สล็อต": ("สล้อต", "slot", "สร็อต"),
    "คลิก": ("คริก", "คลิ๊ก", "8ลิก"),
    "ฟรี": ("ฟรีี", "ฟรี้", "free"),
    "โอน": ("โon", "โอ้น"),
    "บาท": ("บ.", "฿", "บาด"),
    "งาน": ("งาu", "ง๊าน"),
}


def _letters(change: Callable[[str, Random], str], eligible: str) -> Rewrite:
    """A rewrite of single characters: each of `eligible` is changed with the strength as its probability."""

    def rewrite(text: str, random: Random, strength: float) -> str:
        return "".join(
            change(letter, random) if letter in eligible and random.random() < strength else letter for letter in text
        )

    return rewrite


def _words(change: Callable[[str, Random], str]) -> Rewrite:
    """A rewrite of whole Thai words of two cells or more."""

    def rewrite(text: str, random: Random, strength: float) -> str:
        return "".join(
            change(word, random) if len(_CELL.findall(word)) > 1 and random.random() < strength else word
            for word in words(text)
        )

    return rewrite


def _between_cells(word: str, separator: str) -> str:
    """`separator` behind every cell but the last."""
    cells = list(_CELL.finditer(word))
    ends = {cell.end() for cell in cells[:-1]}
    return "".join(letter + (separator if at + 1 in ends else "") for at, letter in enumerate(word))


def _within(word: str, random: Random, separator: str) -> str:
    """`separator` behind one cell, not the last."""
    cell = random.choice(list(_CELL.finditer(word))[:-1])
    return word[: cell.end()] + separator + word[cell.end() :]


def _swap_marks(word: str, _: Random) -> str:
    """A leading vowel behind its consonant, a tone before its vowel."""
    word = re.sub(f"([{SARA_E}{SARA_AE}โใไ])([ก-ฮ])", r"\2\1", word, count=1)
    return re.sub(f"([\u0e31\u0e34-\u0e39])([{thai_tonemarks}])", r"\2\1", word)


def _stretch(word: str, random: Random) -> str:
    last = list(_CELL.finditer(word))[-1]
    return word[: last.end()] + last[0][-1] * random.randint(1, 4) + word[last.end() :]


def _full_width(letter: str, _: Random) -> str:
    return chr(ord(letter) + 0xFEE0)


def _split_links(text: str, random: Random, strength: float) -> str:
    """Break links so that they are no longer seen as such."""

    def broken(match: re.Match[str]) -> str:
        if random.random() >= strength:
            return match[0]
        link = match[0]
        style = random.randrange(5)
        if style == 0 and "://" in link:
            return link.replace("://", "//", 1)
        if style == 1:
            return link.replace(".", " . ", 1)
        if style == 2:
            return link.replace(".", "[.]")
        if style == 3:
            return link.replace("http", "hxxp", 1).replace(".", "(dot)", 1)
        return link.replace("/", " / ").replace(".", " ", 1)

    return _LINK.sub(broken, text)


DISGUISES: dict[str, Rewrite] = {
    "zero_width": _words(lambda word, random: _between_cells(word, random.choice(_ZERO_WIDTH))),
    "letter_spacing": _words(lambda word, _: _between_cells(word, " ")),
    "dots": _words(lambda word, random: _between_cells(word, random.choice("....-*_"))),
    "double_sara_e": _letters(lambda *_: SARA_E + SARA_E, SARA_AE),
    "split_sara_am": _letters(lambda *_: NIKHAHIT + SARA_AA, SARA_AM),
    "latin_letters": _letters(lambda letter, _: _LATIN[letter], "".join(_LATIN)),
    "lao_letters": _letters(lambda letter, _: _LAO[letter], "".join(_LAO)),
    "thai_digits": _letters(lambda digit, _: thai_digits[int(digit)], "0123456789"),
    "letters_for_digits": _letters(lambda digit, random: random.choice("oOo" if digit == "0" else "lI|"), "01"),
    "full_width": _letters(_full_width, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:"),
    "emoji": _words(lambda word, random: _within(word, random, random.choice(_EMOJI))),
    "tone_loss": _letters(lambda *_: "", thai_tonemarks + "\u0e47\u0e4c"),
    "tone_swap": _letters(lambda _, random: random.choice(thai_tonemarks), thai_tonemarks + "\u0e47"),
    "mark_order": _words(_swap_marks),
    "repeated_letters": _words(_stretch),
    "misspelled_words": _words(lambda word, random: random.choice(_CONTACT.get(word, (word,)))),
    "karaoke": _words(lambda word, _: f"{romanize(word, engine='royin')} "),
    "split_links": _split_links,
}
"""Each technique by name; a rewrite takes text, random source and strength, the share of places that it changes."""

# Seen seldom or never in messages that were really sent: kept, and drawn less often.
_RARE = ("lao_letters", "full_width", "mark_order", "karaoke", "thai_digits", "zero_width")


def disguise(text: str, technique: str, strength: float, random: Random) -> str:
    """`text` rewritten by one technique of `DISGUISES`, at a strength from 0 (nothing) to 1 (wherever possible).

    :raises KeyError: no such technique.
    :raises ValueError: the strength is out of range.
    """
    rewrite = DISGUISES[technique]
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength}; expected 0 to 1")
    if technique == "split_links":
        return rewrite(text, random, strength)
    pieces: list[str] = []
    at = 0
    for match in _PROTECTED.finditer(text):
        pieces += [rewrite(text[at : match.start()], random, strength), match[0]]
        at = match.end()
    return "".join([*pieces, rewrite(text[at:], random, strength)])


def disguise_somehow(text: str, random: Random) -> str:
    """`text` rewritten by one to three techniques, each at a strength of its own."""
    weights = [1 if technique in _RARE else 3 for technique in DISGUISES]
    for technique in random.choices(list(DISGUISES), weights, k=random.choice((1, 1, 2, 3))):
        text = disguise(text, technique, random.uniform(0.1, 0.8), random)
    return text
