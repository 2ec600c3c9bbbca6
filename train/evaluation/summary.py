"""The table that says it all: every judge on every file and challenge set, side by side."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from train.evaluation.names import BUNDLE
from train.evaluation.wording import percent_within, score_within


@dataclass(frozen=True)
class SummaryRow:
    """One figure of one set, by judge, as people read it."""

    name: str
    figure: str
    messages: int
    cells: dict[str, str]


def summary_rows(
    files: Mapping[str, Mapping[str, Any]], challenges: Mapping[str, Mapping[str, Any]]
) -> Iterator[SummaryRow]:
    """AUC and recall at 1% false alarms; of a set with one side only the share to review; of pairs, those in order.

    `files` and `challenges` hold the figures of each judge, by name of the set.
    """
    for name, figures in {**files, **challenges}.items():
        ours = figures[BUNDLE]

        def row(figure: str, cells: dict[str, str], name: str = name, messages: int = ours["messages"]) -> SummaryRow:
            return SummaryRow(name, figure, messages, cells)

        if ours["auc"]["value"] is not None:
            yield row("AUC", {judge: score_within(each["auc"]) for judge, each in figures.items()})
            if name in files:
                recall = {judge: percent_within(each["recall"]["0.01"]) for judge, each in figures.items()}
                yield row("recall at 1% false alarms", recall)
        else:
            side = "harmful" if ours["harmful"] else "honest"
            shares = {judge: percent_within(each["review"][side]) for judge, each in figures.items()}
            yield row(f"{side} to review", shares)
        if "pairs_in_order" in ours and ours["pairs_in_order"]["value"] is not None:
            pairs = {judge: percent_within(each["pairs_in_order"]) for judge, each in figures.items()}
            yield row("pairs in order", pairs)
