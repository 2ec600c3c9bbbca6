"""Steps for foreign letters that stand for Thai ones or for digits: โuนัa, สล๊ot, 8ลิ๊ก, 1o,ooo.

Brands, links, addresses and ids are left as they are: a foreign letter counts only inside or beside a Thai word, up to
three in a row, not where it hangs on more of an identifier, and only if reading it so yields known words.
"""

import re
from collections.abc import Iterator
from itertools import product

from ruthan.text.characters import THAI
from ruthan.text.lexicon import oddness
from ruthan.text.normalized import Edit, Step, without_overlap

WINDOW = 12  # characters on either side that are read to judge a place
_CANDIDATES = 48  # readings of one word that are tried
_RUNS = 300  # different mixed runs of one text that are; trying one takes up to a millisecond

# Seen in real messages: โuนัa, สล๊ot, แจ้งรัU, ไม๋ต้oง, 8ลิ๊ก; and letters that look or sound alike.
_READINGS = {
    "o": "อ", "O": "อ", "0": "อ", "u": "บน", "U": "บน", "n": "กทนห", "N": "ทนห", "a": "สอล", "A": "ส", "s": "ร",
    "S": "ร", "r": "ร", "w": "พผฟ", "W": "ฟพ", "8": "ค", "l": "เไาใ", "c": "วค", "I": "เโ", "t": "ต", "T": "ต",
    "v": "ง", "V": "ง", "J": "ว", "i": "โเ", "j": "ว", "H": "ห", "h": "ห", "m": "ฑม", "M": "ฑม", "d": "ด", "g": "ย",
    "k": "ห", "e": "ะ", "z": "ร",
}  # fmt: skip
_FOREIGN = "(?:[ac-eg-osr-wzAHIJMNOS-W]{1,3}|[08])"
# Patterns that search every text begin with the class of characters that is rarer: the search skips to it.
_MIXED_AT_ALL = re.compile(f"[ac-eg-osr-wzAHIJMNOS-W08](?:(?=[{THAI}])|(?<=[{THAI}].))")
_MIXED = re.compile(f"(?<![A-Za-z0-9./@_:#&=+-]){_FOREIGN}(?=[{THAI}])|(?<=[{THAI}]){_FOREIGN}(?![A-Za-z0-9./@_:#&=-])")
_THAI_RUN = re.compile(f"[{THAI}]+")


_NUMBER = re.compile(
    r"(?<![A-Za-z0-9._/@=&?%-])(?:\d[\d,.\-]{0,12}[oOlI|]|[oO][\doO,.\-]{0,4}\d)[\doOlI|,.\-]{0,16}(?![A-Za-z0-9@_/=&])"
)
_DIGIT_OF = str.maketrans("oOlI|", "00111")
_LETTER_AT_NUMBER = re.compile(r"[oOlI|0-9'](?:(?<=[oOlI|])[oO0-9]|(?<=[0-9])[oOlI|]|(?<=')/)")
_HUNDRED_PER_CENT = re.compile(r"(?:[lI][oO0]{2}|1(?:[oO][oO0]|0[oO])) ?(?:%|'?/\.)|(?<=\d)'/\.")


def _letters_in_words(text: str) -> Iterator[Edit]:
    """Latin letters and digits that stand for Thai ones of like shape or sound."""
    if not _MIXED_AT_ALL.search(text):
        return
    done = 0
    respelled: dict[str, Edit | None] = {}
    for match in _MIXED.finditer(text):
        if match.start() < done or any(letter not in _READINGS for letter in match[0]):
            continue
        left, right = _window(text, *match.span())
        run = text[left:right]
        if run not in respelled:
            if len(respelled) == _RUNS:
                return
            respelled[run] = _respelled(run)
        edit = respelled[run]
        if edit is not None and left + edit.start >= done:
            done = left + edit.end
            yield Edit(left + edit.start, done, edit.result)


def _window(text: str, start: int, end: int) -> tuple[int, int]:
    """The bounds of the mixed run around a place, at most `WINDOW` characters on either side."""

    def belongs(at: int) -> bool:
        return bool(_THAI_RUN.match(text[at])) or text[at] in _READINGS

    left, right = start, end
    while left > max(0, start - WINDOW) and belongs(left - 1):
        left -= 1
    while right < min(len(text), end + WINDOW) and belongs(right):
        right += 1
    return left, right


def _respelled(run: str) -> Edit | None:
    """The reading of a mixed run that leaves fewest characters unknown, if it leaves far fewer than the Thai parts."""
    foreign = [at for at, letter in enumerate(run) if letter in _READINGS]
    best, choice = oddness(_THAI_RUN.findall(run)), run
    unread = best[0]
    if unread == 0:
        return None
    for letters in _readings([run[at] for at in foreign]):
        candidate = list(run)
        for at, letter in zip(foreign, letters, strict=True):
            candidate[at] = letter
        joined = "".join(candidate)
        left_over, words, wrong, rarity = oddness(_THAI_RUN.findall(joined))
        changed = sum(letter not in _READINGS for letter in letters)
        odd = (left_over + changed // 2, words, wrong, rarity)
        if odd < best and odd[0] < unread:
            best, choice = odd, joined
    if choice == run:
        return None
    first = next(at for at in foreign if choice[at] != run[at])
    last = next(at for at in reversed(foreign) if choice[at] != run[at])
    # from the first changed letter to the last, with what of the word stands around them
    start, end = first, last + 1
    while start > 0 and _THAI_RUN.match(run[start - 1]) and first - start < 3:
        start -= 1
    return Edit(start, end, choice[start:end])


def _readings(letters: list[str]) -> Iterator[tuple[str, ...]]:
    """What the foreign letters of a run may stand for, the likeliest first; each may also stand for itself."""
    options = [(*_READINGS[letter], letter) for letter in letters]
    for number, reading in enumerate(product(*options)):
        if number >= _CANDIDATES:
            return
        yield reading


def _letters_in_numbers(text: str) -> Iterator[Edit]:
    """Letters for noughts and ones in what is otherwise a number, and loo'/. for 100%."""
    if not _LETTER_AT_NUMBER.search(text):
        return
    found = [
        Edit(match.start(), match.end(), "%" if match[0].startswith("'") else "100%")
        for match in _HUNDRED_PER_CENT.finditer(text)
    ]
    for match in _NUMBER.finditer(text):
        number = match[0]
        digits = sum(letter.isdigit() for letter in number)
        ones = sum(letter in "lI|" for letter in number)
        if (number[0].isdigit() or digits >= 4) and (not ones or (digits >= 2 * ones and number[-1] not in "lI|")):
            found.append(Edit(*match.span(), number.translate(_DIGIT_OF)))
    yield from without_overlap(found)


STEPS = (
    Step("letters_in_numbers", _letters_in_numbers, disguise=True, triggers=frozenset("oOlI|'")),
    Step("letters_in_words", _letters_in_words, disguise=True, triggers=frozenset(_READINGS)),
)
