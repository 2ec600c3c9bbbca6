"""Write an evaluation as one page that needs nothing from elsewhere, and as its twin for programs."""

import os
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ruthan.taxonomy import default_taxonomy
from train.errors import ConfigError
from train.evaluation.names import AS_IT_IS, AUTHORED, BUNDLE, REAL
from train.evaluation.plots import confusion_svg, precision_recall_svg, reliability_svg, slices_svg
from train.evaluation.summary import summary_rows
from train.evaluation.wording import percent, percent_within, points_within, score_within
from train.pages import templates, write_page

PAGE, TWIN = "report.html", "report.json"


def report_folder(folder: Path) -> Path:
    """Make the folder of a report, before minutes are spent on what would go into it.

    :raises ConfigError: it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot make {folder}: {error.strerror}; name another with --out") from error
    if not os.access(folder, os.W_OK):
        raise ConfigError(f"cannot write to {folder}; name another folder with --out")
    return folder


def write_report(folder: Path, result: dict[str, Any]) -> Path:
    """Write `report.html` and `report.json` into `folder`, each whole or not at all; returns the page.

    :raises ConfigError: a file cannot be written.
    """
    report_folder(folder)
    write_page(folder / PAGE, page(result), folder / TWIN, result)
    return folder / PAGE


def page(result: dict[str, Any]) -> str:
    """The report in HTML; messages are quoted as text, whatever is in them."""
    environment = templates(Path(__file__).parent)
    environment.filters |= {"percent": percent, "in_cell": _in_cell}
    for within in (percent_within, points_within, score_within):
        environment.filters[within.__name__] = lambda interval, words=within: _in_cell(words(interval))
    taxonomy = default_taxonomy()
    files = {
        name: {judge: variants[AS_IT_IS] for judge, variants in file["judges"].items()}
        for name, file in result["files"].items()
    }
    charts = {name: _charts(file) for name, file in result["files"].items()}
    return environment.get_template("report.html").render(
        result=result,
        charts=charts,
        bundle=BUNDLE,
        cross_origin=[name for name in (AUTHORED, REAL) if name in result["judges"]],
        names=[name for name in result["judges"] if name not in (AUTHORED, REAL)],
        thai={label: taxonomy[label].thai for label in taxonomy.labels},
        summary=list(summary_rows(files, result["challenges"].get("parts", {}))),
    )


def _charts(file: dict[str, Any]) -> dict[str, Markup]:
    """The charts of one file, by what they show; those without anything to show are left out."""
    drawn = {
        "Precision by recall": precision_recall_svg(file["curves"]),
        "Share of harmful texts by risk; on the grey line risks mean what they say": reliability_svg(file["curves"]),
        "True classes by the classes that the bundle says": confusion_svg(file["confusion"][BUNDLE]),
        "To review by slice, by the bundle": slices_svg(file["slices"]),
    }
    return {caption: Markup(drawing) for caption, drawing in drawn.items() if drawing}  # noqa: S704  of our own making


def _in_cell(figure: str) -> Markup:
    """A figure, and its interval in small type below it."""
    value, _, interval = figure.partition(" ")
    return Markup("{} <small>{}</small>").format(value, interval) if interval else Markup.escape(figure)
