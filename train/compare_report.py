"""Show a comparison of two bundles: at the terminal, as one HTML file, and as JSON."""

import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ruthan.batch.table import printable
from train.compare import Comparison, Judgement, McNemar, Truth
from train.errors import ConfigError
from train.pages import templates, write_page

SHOWN = 20  # groups at the terminal; the files hold all


def terminal_lines(comparison: Comparison, texts: bool = False) -> list[str]:
    """What a person reads at the terminal; the messages themselves only with `texts`."""
    flipped = sum(change.texts for change in comparison.flips)
    lines = [
        f"policy {comparison.policy}: review from risk {comparison.review}, block from {comparison.block}",
        f"{comparison.messages} messages, {comparison.texts} distinct texts; "
        + (f"{flipped} texts flip, in {len(comparison.groups)} groups" if flipped else "nothing flips"),
    ]
    if flipped:
        lines += ["", "messages   texts  action"]
        lines += [
            f"{change.messages:8}  {change.texts:6}  {change.old} → {change.new}"
            + (" (only the label flips)" if change.old == change.new else "")
            for change in comparison.flips
        ]
        lines += ["", "messages   texts  first at line  old → new"]
        for group in comparison.groups[:SHOWN]:
            example = group.example
            lines.append(
                f"{group.messages:8}  {group.texts:6}  {example.line:13}  {_said(example.old)} → {_said(example.new)}"
            )
            if texts:
                lines.append(f"{'':18}{printable(example.text)}")
        if len(comparison.groups) > SHOWN:
            lines.append(f"… and {len(comparison.groups) - SHOWN} smaller groups; --out FILE.html holds all")
        if not texts:
            lines.append("Message texts are private and not shown; --texts shows an example of each group.")
    return lines + (_truth_lines(comparison.truth, comparison.review) if comparison.truth else [])


def _said(judgement: Judgement) -> str:
    return f"{judgement.risk:.3f} {judgement.action} {judgement.label}"


def _truth_lines(truth: Truth, review: float) -> list[str]:
    lines = ["", f"{truth.old.messages} distinct texts with a label, {truth.old.harmful} of them harmful"]
    lines.append(f"{'':26}{'old':>8}{'new':>8}{'change':>9}")
    lines += [f"{name:26}{_change(old, new)}" for name, (old, new) in overall_rows(truth).items()]
    lines += ["", f"{'class':26}{'texts':>6}    recall: old, new, change    precision: old, new, change"]
    lines += [
        f"{row.label:26}{row.texts:6}  {_change(row.old_recall, row.new_recall)}"
        f"    {_change(row.old_precision, row.new_precision)}"
        for row in truth.classes
    ]
    lines += ["", "McNemar's exact test"]
    lines.append(f"harmful or benign, at risk {review}: {_tested(truth.harmful)}")
    lines.append(f"class: {_tested(truth.label)}")
    return lines


def overall_rows(truth: Truth) -> dict[str, tuple[float | None, float | None]]:
    """AUC and recall at each share of false alarms, old and new; None where a side is missing."""
    rows: dict[str, tuple[float | None, float | None]] = {"AUC": (truth.old.auc, truth.new.auc)}
    for budget in truth.old.recall:
        both = truth.old.auc is not None
        rows[f"recall at {float(budget):.0%} false alarms"] = (
            (truth.old.recall[budget], truth.new.recall[budget]) if both else (None, None)
        )
    return rows


def _change(old: float | None, new: float | None) -> str:
    both = f"{new - old:+9.3f}" if old is not None and new is not None else f"{'–':>9}"
    return f"{_figure(old):>8}{_figure(new):>8}{both}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _tested(test: McNemar) -> str:
    return f"only old right {test.lost}, only new right {test.won}, p = {test.p:.3g}"


def check_report_path(path: Path, source: Path) -> None:
    """See to it early that a report can be written to `path`, and its JSON twin beside it.

    :raises ConfigError: the ending is another, the folder does not exist, or the twin would overwrite `source`.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise ConfigError(f"--out {path}: give a name that ends in .html; the JSON twin is written beside it")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ConfigError(f"--out {path}: cannot write to {path.parent}; name a folder that exists and is yours")
    for each in (path, twin(path)):
        if each.is_dir() or each.resolve() == source.resolve():
            raise ConfigError(f"--out {path}: would overwrite {each}; give another name")


def twin(path: Path) -> Path:
    """Where the JSON that goes with an HTML report stands."""
    return path.with_suffix(".json")


def write_report(comparison: Comparison, bundles: Mapping[str, str], source: str, path: Path) -> None:
    """Write the comparison, with an example message of each group, as HTML and its JSON twin; each whole or not at all.

    :param bundles: what to call the `old` and the `new` bundle.
    :raises ConfigError: a file cannot be written.
    """
    environment = templates(Path(__file__).parent)
    environment.filters["figure"] = _figure
    environment.filters["tested"] = _tested
    overall = overall_rows(comparison.truth) if comparison.truth else {}
    page = environment.get_template("compare.html").render(
        comparison=comparison, bundles=bundles, source=source, overall=overall
    )
    content: dict[str, Any] = {"bundles": dict(bundles), "on": source, **asdict(comparison)}
    write_page(path, page, twin(path), content)
