"""Find the warning signs of a message: the words by which it presses, threatens, lures, or asks for help.

The cues are in `data/signals.yaml`, in the syntax of RE2, which runs in linear time: no message and no cue can stall
the search. They are matched on the normalised text and reported on the text as received.
"""

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import re2
from pythainlp.corpus import thai_words

from ruthan.errors import DataError
from ruthan.resources import read_yaml, shipped
from ruthan.text.normalized import NormalizedText
from ruthan.text.words import words
from ruthan.verdict import Evidence, RecruitmentSigns

NEAR, CLAUSE = 14, 60  # characters before a cue in which a denial counts, see data/signals.yaml
_AROUND = 24  # characters around a match that are divided into words
MOST = 200  # signs of one kind that are reported of one message
STRENGTHS = ("strong", "medium", "weak")
_LOWER = {capital: capital + 32 for capital in range(ord("A"), ord("Z") + 1)}  # str.lower may change the length


@dataclass(frozen=True)
class Signal:
    """A sign.

    :param needs_help: it does not speak against a message but for people in it.
    :param of_work: it is one only in a message about work.
    """

    id: str
    thai: str
    english: str
    needs_help: bool = False
    of_work: bool = False


@dataclass(frozen=True)
class _Cues:
    """A group of cues of one signal; `ordinary` matches where their words are put to an ordinary use."""

    signal: Signal
    ordinary: Any | None
    details: dict[str, str]


class Signals:
    """The signs of one file, compiled once; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        """:raises DataError: the file is missing, is no YAML, lacks a field, or has a pattern that RE2 refuses."""
        content = read_yaml(path)
        try:
            self.signals = {
                entry["id"]: Signal(
                    entry["id"],
                    entry["thai"],
                    entry["english"],
                    bool(entry.get("needs_help")),
                    entry.get("context") == "recruitment",
                )
                for entry in content["signals"]
            }
            self._cues: list[tuple[_Cues, Any]] = []  # a group, and one of its cues, by number in the filter
            self._filter = re2.Filter()  # finds which of many patterns match by the letters they cannot do without
            for entry in content["signals"]:
                for group in entry["cues"]:
                    ordinary = _compiled(group["except"], path) if "except" in group else None
                    details = {name: str(group[name]) for name in ("strength", "source") if name in group}
                    if details.get("strength", "weak") not in STRENGTHS:
                        raise DataError(f"{path}: {entry['id']}: strength {details['strength']!r} is not known")
                    cues = _Cues(self.signals[entry["id"]], ordinary, details)
                    for pattern in group["find"]:
                        self._cues.append((cues, _compiled([pattern], path)))
                        self._filter.Add(pattern, _options())
            self._filter.Compile()
            self._near = _compiled(content["denial"]["near"], path)
            self._clause = _compiled(content["denial"]["clause"], path)
            self._reported = _compiled(content["reported"], path)
            self._reported_but_pleas = _compiled(content["reported_but_pleas"], path)
            self._recruitment = _compiled(content["recruitment"], path)
        except (KeyError, TypeError) as error:
            raise DataError(f"{path}: a field is missing or of the wrong kind: {error}") from error

    def find(self, text: NormalizedText, original: str) -> tuple[Evidence, ...]:
        """All signs in order of position. `original` is what `text` was made from.

        Signs of different kinds may overlap. `details` says `quoted` where the message only forbids, denies, reports
        or warns of what the words say, and in a message about work the `strength` of a sign and its `source`.
        """
        lower = text.text.translate(_LOWER)
        matched = self._filter.Match(lower)
        if not matched:
            return ()
        reported = bool(self._reported.search(lower))
        quoted_but_pleas = reported or bool(self._reported_but_pleas.search(lower))
        about_work = bool(self._recruitment.search(lower))
        spans: dict[str, list[tuple[int, int, _Cues]]] = {}
        ordinary: dict[int, list[tuple[int, int]]] = {}  # by group of cues: where its words are put to an ordinary use
        for number in sorted(matched):
            cues, pattern = self._cues[number]
            if cues.signal.of_work and not about_work:
                continue
            if id(cues) not in ordinary:
                ordinary[id(cues)] = _spans(cues.ordinary, lower) if cues.ordinary is not None else []
            uses = _uses(_spans(pattern, lower), ordinary[id(cues)], lower)
            spans.setdefault(cues.signal.id, []).extend((*span, cues) for span in uses)
        found: list[Evidence] = []
        for each in spans.values():
            for start, end, cues in _joined_spans(each)[:MOST]:
                help_sign = cues.signal.needs_help
                quoted = reported if help_sign else quoted_but_pleas or self._denied(lower, start)
                first, last = text.to_original(start, end)
                details = ({"quoted": "yes"} if quoted else {}) | (cues.details if about_work else {})
                found.append(Evidence("signal", cues.signal.id, "", original[first:last], first, last, details))
        return tuple(sorted(found, key=lambda each: (each.start, each.end, each.type)))

    def _denied(self, text: str, start: int) -> bool:
        """Whether words before the cue at `start` forbid, deny or warn of it."""
        line = text[max(0, start - CLAUSE, text.rfind("\n", 0, start) + 1) : start]
        if self._clause.search(line):
            return True
        near = line[-NEAR:]
        if not near.isascii():
            near = re.split(r"[\s.,!?\"“”()]", near)[-1]
        return bool(self._near.search(near))

    def about_work(self, text: NormalizedText) -> bool:
        """Whether a message is about work at all."""
        return bool(self._recruitment.search(text.text.translate(_LOWER)))

    def needs_help(self, evidence: Iterable[Evidence]) -> bool:
        """Whether signs say that someone in the message may need help: a plea, or a search for a missing person."""
        return any(self.signals[each.type].needs_help for each in _earnest(evidence))


def count_recruitment_signs(evidence: Iterable[Evidence]) -> RecruitmentSigns:
    """How many signs of each strength a message shows in earnest; each kind of sign counts once, at its strongest."""
    strongest: dict[str, int] = {}
    for each in _earnest(evidence):
        if "strength" in each.details:
            rank = STRENGTHS.index(each.details["strength"])
            strongest[each.type] = min(rank, strongest.get(each.type, rank))
    counted = [STRENGTHS[rank] for rank in strongest.values()]
    return RecruitmentSigns(*(counted.count(strength) for strength in STRENGTHS))


def _earnest(evidence: Iterable[Evidence]) -> Iterator[Evidence]:
    return (each for each in evidence if each.kind == "signal" and "quoted" not in each.details)


def _spans(pattern: Any, text: str) -> list[tuple[int, int]]:
    return [match.span() for match in pattern.finditer(text)]


def _uses(spans: list[tuple[int, int]], ordinary: list[tuple[int, int]], text: str) -> Iterator[tuple[int, int]]:
    """The spans of a cue that are whole words, blanks at the end left out, but for those that meet an ordinary use."""
    for start, stop in spans:
        end = start + len(text[start:stop].rstrip())
        # Ordinary uses are in order and apart: only the last that begins before the end can meet the span.
        before = bisect_left(ordinary, (end,))
        if start < end and not (before and start < ordinary[before - 1][1]):
            whole = _whole_words(text, start, end)
            if whole is not None:
                yield whole


def _whole_words(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The span of a match to the end of its last word; None if it begins inside a word, as รถรับ does in สามารถรับ."""
    left, right = max(0, start - _AROUND), min(len(text), end + _AROUND)
    at = left
    for word in words(text[left:right]):
        after = at + len(word)
        if at < start < after and (left == 0 or left < at) and word[: start - at] not in thai_words():
            return None
        if at < end < after < right and word[end - at :] not in thai_words() and word.strip() == word:
            end = after
        at = after
    return start, end


def _joined_spans(spans: list[tuple[int, int, _Cues]]) -> list[tuple[int, int, _Cues]]:
    """Spans of one signal in order; those that overlap or touch are one, of the stronger of the two."""
    joined: list[tuple[int, int, _Cues]] = []
    for start, end, cues in sorted(spans, key=lambda span: span[:2]):
        if joined and start <= joined[-1][1] + 1:
            first, last, before = joined[-1]
            joined[-1] = first, max(last, end), min(before, cues, key=_rank)
        else:
            joined.append((start, end, cues))
    return joined


def _rank(cues: _Cues) -> int:
    return STRENGTHS.index(cues.details["strength"]) if "strength" in cues.details else len(STRENGTHS)


def _options() -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 16 << 20
    return options


def _joined(patterns: list[str]) -> str:
    return "|".join(f"(?:{pattern})" for pattern in patterns)


def _compiled(patterns: list[str], path: Path) -> Any:
    for pattern in patterns:
        try:
            re2.compile(pattern, _options())
        except re2.error as error:
            raise DataError(f"{path}: the pattern {pattern!r} cannot be used: {error}") from error
    return re2.compile(_joined(patterns), _options())


@cache
def default_signals() -> Signals:
    """The signs that ship with ruthan."""
    return Signals(shipped("data", "signals.yaml"))
