"""A normalised copy of a text, the map back to the text as received, and what was changed on the way."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """One thing that a step undid: `original[start:end]`, in code points of the text as received, reads `result`."""

    step: str
    start: int
    end: int
    result: str


@dataclass(frozen=True)
class NormalizedText:
    """A normalised copy of a text.

    Character `i` of `text` was made from `original[starts[i]:ends[i]]`; both are None while nothing was moved. Where a
    run was written backwards they fall, so the span of a slice runs from its smallest start to its largest end.
    """

    text: str
    starts: Sequence[int] | None = None
    ends: Sequence[int] | None = None
    changes: tuple[Change, ...] = ()

    def to_original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that became `text[start:end]`.

        :raises ValueError: the span is empty or lies outside the text.
        """
        if not 0 <= start < end <= len(self.text):
            raise ValueError(f"no span {start}:{end} in a text of {len(self.text)} characters")
        if self.starts is None or self.ends is None:
            return start, end
        return min(self.starts[start:end]), max(self.ends[start:end])


@dataclass(frozen=True)
class Edit:
    """`text[start:end]` is to read `result`.

    :param sources: for each character of `result` the place in `text` that it comes from; by default found by
        `_sources`.
    """

    start: int
    end: int
    result: str
    sources: Sequence[int] | None = None


@dataclass(frozen=True)
class Step:
    """One thing that normalising undoes.

    :param name: what verdicts call it.
    :param find: the edits of a text, in order and without overlap.
    :param disguise: whether people seldom write so unless a filter is to be slipped past; else a typing habit, which
        says nothing of a message.
    :param triggers: characters one of which must be in a text for the step to find anything; None: any text.
    """

    name: str
    find: Callable[[str], Iterable[Edit]]
    disguise: bool = False
    triggers: frozenset[str] | None = None


def without_overlap(edits: Iterable[Edit]) -> Iterator[Edit]:
    """Edits in order; of two that overlap the earlier, or else the longer."""
    done = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, -edit.end)):
        if edit.start >= done:
            done = edit.end
            yield edit


def apply(step: Step, before: NormalizedText) -> NormalizedText:
    """`before` with the edits of a step made; `before` itself if there are none."""
    text = before.text
    edits = [edit for edit in step.find(text) if text[edit.start : edit.end] != edit.result]
    if not edits:
        return before
    old_starts: Sequence[int] = range(len(text)) if before.starts is None else before.starts
    old_ends: Sequence[int] = range(1, len(text) + 1) if before.ends is None else before.ends
    pieces: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    changes: list[Change] = []
    at = 0
    for edit in edits:
        pieces += [text[at : edit.start], edit.result]
        starts += old_starts[at : edit.start]
        ends += old_ends[at : edit.start]
        span = min(old_starts[edit.start : edit.end]), max(old_ends[edit.start : edit.end])
        sources = _sources(text[edit.start : edit.end], edit) if edit.sources is None else edit.sources
        if sources is None:
            starts += [span[0]] * len(edit.result)
            ends += [span[1]] * len(edit.result)
        else:
            starts += [old_starts[source] for source in sources]
            ends += [old_ends[source] for source in sources]
        changes.append(Change(step.name, *span, edit.result))
        at = edit.end
    pieces.append(text[at:])
    starts += old_starts[at:]
    ends += old_ends[at:]
    return NormalizedText("".join(pieces), starts, ends, (*before.changes, *changes))


def _sources(written: str, edit: Edit) -> list[int] | None:
    """Where each character of the result stands in what was written: one for one, or what is left when some is struck
    out. None if it is neither, and each stands for the whole.
    """
    if len(written) == len(edit.result):
        return list(range(edit.start, edit.end))
    sources: list[int] = []
    at = 0
    for character in edit.result:
        at = written.find(character, at) + 1
        if not at:
            return None
        sources.append(edit.start + at - 1)
    return sources
