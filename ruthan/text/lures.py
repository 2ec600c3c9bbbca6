"""Steps for the lures that filters look for first, as `data/spellings.yaml` lists how they are written: in other
Thai letters, and in Latin ones ("karaoke").
"""

import re
from collections.abc import Iterator
from functools import cache

from pythainlp.corpus import thai_words

from ruthan.text.characters import MARKS
from ruthan.text.lexicon import spellings, unknown
from ruthan.text.normalized import Edit, Step


@cache
def _variants() -> tuple[re.Pattern[str], dict[str, str]]:
    table = {spelling: word for word, known in spellings()["spellings"].items() for spelling in known}
    longest_first = sorted(table, key=len, reverse=True)
    return re.compile(f"(?:{'|'.join(map(re.escape, longest_first))})(?![{MARKS}\u0e2d-\u0e33\u0e4c])"), table


def _misspelled(text: str) -> Iterator[Edit]:
    """Known ways of writing the words that disguises aim at, unless they are part of a longer known word."""
    pattern, table = _variants()
    for match in pattern.finditer(text):
        word = table[match[0]]
        start, end = match.span()
        while end < len(text) and end < match.end() + 8 and "\u0e01" <= text[end] <= "\u0e4e":
            end += 1
        written, mended = text[start:end], word + text[match.end() : end]
        if match[0] not in thai_words() and unknown(mended) <= unknown(written):
            yield Edit(*match.span(), word)


@cache
def _karaoke() -> tuple[re.Pattern[str], dict[str, str], frozenset[str]]:
    table = {spelling.replace(" ", ""): word for word, known in spellings()["romanised"].items() for spelling in known}
    written = [spelling for known in spellings()["romanised"].values() for spelling in known]
    longest_first = sorted(written, key=len, reverse=True)
    options = "|".join(re.escape(spelling).replace(r"\ ", "[ -]?") for spelling in longest_first)
    pattern = re.compile(f"(?:{options})(?![A-Za-z0-9/@_]|\\.[A-Za-z])", re.IGNORECASE)
    return pattern, table, frozenset(spelling[:2] for spelling in table)


_LATIN_WORD = re.compile("[A-Za-z]{2,}")


def _romanised(text: str) -> Iterator[Edit]:
    """Thai lures in Latin letters ("karaoke")."""
    pattern, table, beginnings = _karaoke()
    done = 0
    for word in _LATIN_WORD.finditer(text):
        start = word.start()
        if (
            start >= done
            and word[0][:2].lower() in beginnings
            and not (start and text[start - 1] in "0123456789./@_#-")
        ):
            match = pattern.match(text, start)
            if match:
                done = match.end()
                yield Edit(*match.span(), table[re.sub("[ -]", "", match[0]).lower()])


STEPS = (
    Step("misspelled_lures", _misspelled),
    Step("romanised_lures", _romanised, disguise=True),
)
