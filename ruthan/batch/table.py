"""Show verdicts to a person at a terminal: the riskiest messages, and how many there were of what."""

import heapq
from collections import Counter
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ruthan.message import Message
from ruthan.taxonomy import default_taxonomy
from ruthan.text import normalize
from ruthan.verdict import Verdict

COLOURS = {"block": "red", "review": "yellow", "allow": "green"}


class Overview:
    """Counts verdicts and remembers the riskiest few; memory does not grow with their number."""

    def __init__(self, top: int) -> None:
        self.top = top
        self.actions: Counter[str] = Counter()
        self.labels: Counter[str] = Counter()
        self._riskiest: list[tuple[float, int, Message, Verdict]] = []

    @property
    def messages(self) -> int:
        """How many verdicts were added."""
        return self.actions.total()

    def add(self, message: Message, verdict: Verdict) -> None:
        """Take in one verdict."""
        entry = (verdict.risk, -self.messages, message, verdict)  # of equal risks the earlier counts more
        self.actions[verdict.action] += 1
        self.labels[verdict.label] += 1
        if self.top > 0:
            (heapq.heappush if len(self._riskiest) < self.top else heapq.heappushpop)(self._riskiest, entry)

    def riskiest(self) -> Iterator[tuple[Message, Verdict]]:
        """The remembered messages, the riskiest first."""
        for _, _, message, verdict in sorted(self._riskiest, key=lambda entry: entry[:2], reverse=True):
            yield message, verdict

    def show(self, console: Console) -> None:
        """Print the table and the counts."""
        names = default_taxonomy()
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in ("risk", "action", "label", "where"):
            table.add_column(heading, no_wrap=True)
        table.add_column("message", overflow="ellipsis", no_wrap=True, ratio=1)
        for message, verdict in self.riskiest():
            where = f"{message.source.file.rsplit('/', 1)[-1]}:{message.source.line}" if message.source else ""
            table.add_row(
                f"{verdict.risk:.3f}",
                Text(verdict.action, style=COLOURS[verdict.action]),
                Text(f"{verdict.label} {names[verdict.label].thai}"),
                Text(where),
                Text(printable(message.text)),
            )
        if table.row_count:
            console.print(table)
            console.print()
        actions = ", ".join(f"{action} {self.actions[action]}" for action in COLOURS)
        labels = ", ".join(f"{label} {count}" for label, count in self.labels.most_common())
        console.print(Text(f"{self.messages} messages: {actions}"))
        console.print(Text(f"labels: {labels}" if labels else "no messages"))


def printable(text: str) -> str:
    """One line that is safe to show at a terminal: no controls, no escape sequences, no reversed runs."""
    return " ".join(normalize(text[:2_000]).text.split())
