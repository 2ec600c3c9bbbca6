"""Steps for words that are taken apart by blanks, dots, hyphens or emoji: joined only where that yields known words."""

import re
from collections.abc import Callable, Iterator

from ruthan.text.characters import MARKS, THAI, characters_between
from ruthan.text.lexicon import bare, divide, unknown
from ruthan.text.normalized import Edit, Step

# What a reader sees as one character: a consonant with its marks, or a vowel that stands by itself.
_CELL = f"[\u0e01-\u0e30\u0e32\u0e33\u0e40-\u0e45][{MARKS}]*"
_EMOJI = "[\u2600-\u27bf\u2b50-\u2b55\U0001f300-\U0001faff]\ufe0f?"
_EMOJIS = characters_between((0x2600, 0x27BF), (0x2B50, 0x2B55), (0x1F300, 0x1FAFF))
_MARK = "[.\\-_*~|•·]"
_SEPARATORS = f"(?:{_MARK}|(?:{_EMOJI}){{1,2}})"
_SEPARATED = re.compile(f"[{THAI}]{{1,60}}(?:{_SEPARATORS}[{THAI}]{{1,60}}){{1,60}}")
_SPACED = re.compile(f"[{THAI}]{{1,60}}(?: [{THAI}]{{1,60}}){{1,60}}")
_BETWEEN = re.compile(f" |{_SEPARATORS}")
# Patterns that search every text begin with the class of characters that is rarer: the search skips to it.
_MARK_AT_ALL = re.compile(f"{_MARK}(?=[{THAI}])")
_EMOJI_AT_ALL = re.compile(f"{_EMOJI}(?=[{THAI}])")
_LONE_CELL = re.compile(f" {_CELL} (?=[{THAI}])")
_CELLS = re.compile(_CELL)
_ABBREVIATION = re.compile("[\u0e01-\u0e2e]{1,4}|[\u0e40-\u0e44][\u0e01-\u0e2e]|[\u0e01-\u0e2e]\u0e34")
_CANNOT_BEGIN = re.compile(f"[\u0e30\u0e32\u0e33{MARKS}]")
_CANNOT_END = re.compile("[\u0e40-\u0e44]")


def _taken_apart(separator: re.Pattern[str], run: re.Pattern[str]) -> Callable[[str], Iterator[Edit]]:
    """The edits that join words in the runs around each `separator`."""

    def find(text: str) -> Iterator[Edit]:
        done = 0
        for match in separator.finditer(text):
            start = match.start()
            while start > done and match.start() - start < 60 and "\u0e01" <= text[start - 1] <= "\u0e4e":
                start -= 1
            found = run.match(text, start) if done <= start < match.start() else None
            if found:
                done = found.end()
                yield from _joins(text, *found.span())

    return find


def _joins(text: str, start: int, end: int) -> Iterator[Edit]:
    """Edits that join the pieces of a run which are parts of one word."""
    run = text[start:end]
    gaps = [match.span() for match in _BETWEEN.finditer(run)]
    pieces = _BETWEEN.split(run)
    unread = [unknown(piece) for piece in pieces]
    if not any(unread):
        return
    letters = [at for at in range(len(run)) if bare(run[at]) and not any(first <= at < last for first, last in gaps)]
    _, words = divide("".join(run[at] for at in letters))
    spans = [(letters[first], letters[last - 1] + 1) for first, last in words]
    around = [next((span for span in spans if span[0] < gap[0] and gap[1] < span[1]), None) for gap in gaps]
    around = [None if run[gap[0] : gap[1] + 1] == " ๆ" else span for gap, span in zip(gaps, around, strict=True)]
    single = [len(_CELLS.findall(piece)) == 1 for piece in pieces]
    groups: list[list[int]] = []
    for at, span in enumerate(around):
        # A gap between two words that were both taken apart is part of the disguise too.
        if span or (single[at] and single[at + 1] and any(around[max(0, at - 2) : at + 3])):
            if groups and groups[-1][-1] == at - 1:
                groups[-1].append(at)
            else:
                groups.append([at])
    for group in groups:
        parts = pieces[group[0] : group[-1] + 2]
        gain = sum(unread[group[0] : group[-1] + 2]) - unknown("".join(parts))
        lone = any(single[group[0] : group[-1] + 2])
        if _is_disguise(parts, run[slice(*gaps[group[0]])], gain, lone, run[gaps[group[-1]][1] :]):
            first = (around[group[0]] or gaps[group[0]])[0]
            last = (around[group[-1]] or gaps[group[-1]])[1]
            while last < len(run) and not bare(run[last]):
                last += 1  # a tone mark at the end
            joined = "".join(run[at] for at in range(first, last) if not any(a <= at < b for a, b in gaps))
            yield Edit(start + first, start + last, joined)


def _is_disguise(parts: list[str], separator: str, gain: int, lone: bool, rest: str) -> bool:
    """Whether parts that make known words when joined were one word: by how many characters that are in no known word
    (`gain`) become part of one, and not if they are rather an abbreviation such as ต.ค., a title before a name such as
    น.ส.มาลี, or a name such as ซีอาร์-วี.
    """
    orphan = any(_CANNOT_BEGIN.match(part) for part in parts[1:]) or any(
        _CANNOT_END.match(part[-1]) for part in parts[:-1]
    )
    if gain < (1 if orphan or separator > "\u2500" else 2) or (
        separator == " " and not orphan and not (lone and len(parts) > 2)
    ):
        return False
    if separator not in ".-" or orphan:
        return True
    if len(parts) >= 4 and re.search(f"[{MARKS}\u0e30-\u0e33\u0e40-\u0e44]", "".join(parts[:-1])):
        return True
    abbreviation = any(_ABBREVIATION.fullmatch(part) for part in (parts[0], parts[-1]))
    return gain >= 3 and not abbreviation and not rest[len(parts[-1]) :].startswith(".")


STEPS = (
    Step("spaced_letters", _taken_apart(_LONE_CELL, _SPACED), disguise=True, triggers=frozenset(" ")),
    Step("dotted_words", _taken_apart(_MARK_AT_ALL, _SEPARATED), disguise=True, triggers=frozenset(".-_*~|•·")),
    Step("emoji_in_words", _taken_apart(_EMOJI_AT_ALL, _SEPARATED), disguise=True, triggers=_EMOJIS),
)
