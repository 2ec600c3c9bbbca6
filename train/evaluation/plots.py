"""Charts of an evaluation as SVG to stand in a page; their figures are in `report.json`."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from train.evaluation.names import AUTHORED, BUNDLE, EMBEDDING, KEYWORDS, REAL, TFIDF

# Told apart by dashes too, not by colour alone; colours of Okabe and Ito (2008).
_STYLES: dict[str, dict[str, Any]] = {
    BUNDLE: {"color": "#0072b2", "linewidth": 2.2},
    TFIDF: {"color": "#d55e00", "linestyle": "--"},
    EMBEDDING: {"color": "#009e73", "linestyle": "-."},
    KEYWORDS: {"color": "#666666", "linestyle": ":"},
    AUTHORED: {"color": "#cc79a7", "linestyle": (0, (5, 1, 1, 1))},
    REAL: {"color": "#b59b00", "linestyle": (0, (1, 1))},
}
_OTHERS = ("#56b4e9", "#000000", "#7b4ab8")
_SETTINGS: Any = {"svg.fonttype": "none", "svg.hashsalt": "ruthan", "font.family": "sans-serif", "font.size": 9}


def _style(name: str, at: int) -> dict[str, Any]:
    return {"linewidth": 1.3, **_STYLES.get(name, {"color": _OTHERS[at % len(_OTHERS)]}), "label": name}


def precision_recall_svg(curves: Mapping[str, Mapping[str, Any]]) -> str:
    """Precision by recall, one line a judge; empty where no judge has a curve."""
    drawn = {name: np.array(each["precision_recall"]) for name, each in curves.items() if each["precision_recall"]}
    if not drawn:
        return ""
    figure, axes = _axes(5.2, 4.2)
    for at, (name, points) in enumerate(drawn.items()):
        # Steps, not slopes: between two thresholds there is none.
        axes.plot(points[:, 0], points[:, 1], drawstyle="steps-pre", **_style(name, at))
    axes.set(xlabel="recall: share of harmful texts flagged", ylabel="precision: share of flagged texts harmful")
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    _legend(figure)
    return _svg(figure, "Precision by recall of each judge")


def reliability_svg(curves: Mapping[str, Mapping[str, Any]]) -> str:
    """Share of harmful texts by the risk they were given, with intervals; empty where no judge gives probabilities."""
    drawn = {name: each["reliability"] for name, each in curves.items() if each["reliability"] and name != EMBEDDING}
    drawn = {name: rows for name, rows in drawn.items() if name not in (AUTHORED, REAL)}
    if not drawn:
        return ""
    figure, axes = _axes(5.2, 4.2)
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
    for at, (name, rows) in enumerate(drawn.items()):
        risk = np.array([row["risk"] for row in rows])
        low, share, high = (np.array([row["harmful"][key] for row in rows]) for key in ("low", "value", "high"))
        spread = np.maximum(0, [share - low, high - share])
        axes.errorbar(risk, share, spread, capsize=2, marker="o", markersize=3, elinewidth=0.8, **_style(name, at))
    axes.set(xlabel="risk as said, mean of each tenth", ylabel="share that is harmful", xlim=(0, 1), ylim=(0, 1.02))
    _legend(figure)
    return _svg(figure, "Share of harmful texts by risk")


def confusion_svg(confusion: Mapping[str, Any]) -> str:
    """Counts of true by predicted class, shaded by the share of the true class; empty without classes."""
    labels: Sequence[str] = confusion["labels"]
    if not labels:
        return ""
    counts = np.array(confusion["counts"])
    side = 1.8 + 0.4 * len(labels)
    figure, axes = _axes(side + 0.6, side)
    # A mesh and not an image, which would come as pixels.
    axes.pcolormesh(counts / np.maximum(counts.sum(1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    axes.invert_yaxis()
    for row, column in zip(*np.nonzero(counts), strict=True):
        dark = counts[row, column] / counts[row].sum() > 0.5
        colour = "white" if dark else "black"
        axes.text(column + 0.5, row + 0.5, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(np.arange(len(labels)) + 0.5, labels, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(np.arange(len(labels)) + 0.5, labels)
    axes.set(xlabel="predicted", ylabel="true")
    axes.grid(visible=False)
    return _svg(figure, "True classes, in rows, by predicted classes")


def slices_svg(slices: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> str:
    """The share of harmful and honest texts to review by slice, with intervals, of the bundle."""
    rows = [
        (f"{dimension}: {value}", figures[BUNDLE]["review"])
        for dimension, values in slices.items()
        if len(values) > 1
        for value, figures in values.items()
    ]
    if not rows:
        return ""
    rows.reverse()
    figure, axes = _axes(8.2, 0.8 + 0.22 * len(rows))
    sides = (("harmful", "#d55e00", "o", 0.12), ("honest", "#0072b2", "s", -0.12))
    for side, colour, marker, shift in sides:
        places = [at for at, (_, review) in enumerate(rows) if review[side]["value"] is not None]
        found = [rows[at][1][side] for at in places]
        if not found:
            continue
        low, value, high = (np.array([each[key] for each in found]) for key in ("low", "value", "high"))
        spread = np.maximum(0, [value - low, high - value])
        style: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4, "elinewidth": 1}
        heights = np.array(places) + shift
        axes.errorbar(value, heights, xerr=spread, linestyle="none", label=f"{side} texts", **style)
    axes.set_yticks(range(len(rows)), [name for name, _ in rows])
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.7, len(rows) - 0.3), xlabel="share at or above the risk for review")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    _legend(figure)
    return _svg(figure, "Share of texts to review by slice")


def _axes(width: float, height: float) -> tuple[Figure, Axes]:
    """An empty chart of a size in inches."""
    with matplotlib.rc_context(_SETTINGS):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        axes.grid(visible=True, color="#eeeeee")
        axes.set_axisbelow(True)
        axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _legend(figure: Figure) -> None:
    """A legend below the chart, where it hides nothing."""
    figure.legend(loc="outside lower center", ncols=2, frameon=False)


def _svg(figure: Figure, title: str) -> str:
    """The chart as an element of a page, the same for the same figures."""
    buffer = io.StringIO()
    with matplotlib.rc_context(_SETTINGS):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    return drawing[drawing.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{title}"', 1)
