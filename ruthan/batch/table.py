"""Show verdicts to a person at a terminal: the riskiest messages, and how many there were of what kind."""

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from ruthan.masking import mask
from ruthan.message import Message
from ruthan.taxonomy import default_taxonomy
from ruthan.text.characters import VISIBLE
from ruthan.text.normalized import NormalizedText, apply

COLOURS = {"block": "red", "review": "yellow", "allow": "green"}


class Overview:
    """Counts rows of results and remembers the riskiest few; memory does not grow with their number."""

    def __init__(self, top: int, masked: bool = False) -> None:
        self.top = top
        self.masked = masked
        self.actions: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self._riskiest: list[tuple[float, int, Message, Mapping[str, Any]]] = []

    @property
    def messages(self) -> int:
        """How many rows were added."""
        return self.actions.total()

    def add(self, message: Message, row: Mapping[str, Any]) -> None:
        """Take in one message and its row."""
        entry = (row["risk"], -self.messages, message, row)  # of equal risks the earlier counts more
        self.actions[row["action"]] += 1
        self.labels[row["label"]] += 1
        if self.top > 0:
            (heapq.heappush if len(self._riskiest) < self.top else heapq.heappushpop)(self._riskiest, entry)

    def riskiest(self) -> Iterator[tuple[Message, Mapping[str, Any]]]:
        """The remembered messages, the riskiest first."""
        for _, _, message, row in sorted(self._riskiest, key=lambda entry: entry[:2], reverse=True):
            yield message, row

    def show(self, console: Console) -> None:
        """Print the table and the counts."""
        rows = [(row, _where(message), self._text(message)) for message, row in self.riskiest()]
        label_width = max((len(row["label"]) for row, _, _ in rows), default=0)
        where_width = max((cell_len(where) for _, where, _ in rows), default=0)
        for row, where, text in rows:
            line = Text.assemble(
                f"{row['risk']:.3f}  ",
                (f"{row['action']:6}  ", COLOURS[row["action"]]),
                f"{row['label']:{label_width}}  ",
                f"{set_cell_size(where, where_width)}  ",
                text,
            )
            console.print(line, no_wrap=True, overflow="ellipsis")
        if rows:
            console.print()
        actions = ", ".join(f"{action} {self.actions[action]}" for action in COLOURS)
        console.print(Text(f"{self.messages} messages: {actions}"))
        names = default_taxonomy()
        for label, count in self.labels.most_common():
            console.print(Text(f"{count:7}  {label}  {names[label].thai}"))

    def _text(self, message: Message) -> str:
        beginning = message.text[:2_000]
        return printable(mask(beginning) if self.masked else beginning)


def _where(message: Message) -> str:
    """File and line, without the folder."""
    return printable(f"{Path(message.source.file).name}:{message.source.line}") if message.source else ""


def printable(text: str) -> str:
    """One line that is safe to show at a terminal: no controls, no escape sequences, no reversed runs."""
    shown = NormalizedText(text[:2_000])
    for step in VISIBLE:
        shown = apply(step, shown)
    return " ".join(shown.text.split())
