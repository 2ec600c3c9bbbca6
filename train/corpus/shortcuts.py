"""Look for what gives a class away without the text being understood, as a model would find it.

A model that can tell harmful from honest by length, links or exclamation marks learns just that, and fails on real
messages. The bounds are on harmful against honest; the tables, for people to read, go by class.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict

from ruthan.evidence.indicators import find_indicators
from ruthan.taxonomy import BENIGN, default_taxonomy
from ruthan.text.normalize import normalize
from ruthan.text.words import words
from train.corpus.records import Record
from train.corpus.splits import groups
from train.slots import prepare

SEED = 17
FEWEST = 20
LARGEST_SURFACE_AUC = 0.70  # of harmful against honest, from surface features alone
LARGEST_FEATURE_AUC = 0.60  # of one surface feature alone; the smallest is one less this
LARGEST_LINK_SHARE = 0.80  # of a class with a link, phone number or LINE id; a class must not be known by it
SMALLEST_LINK_SHARE = 0.02
TELLTALE = (0.04, 0.97)  # a word in this share of the harmful (honest) texts must not be this pure

Floats = npt.NDArray[Any]


@dataclass(frozen=True)
class ShortcutAudit:
    """Bounds that are broken, one sentence each, and tables for people to read."""

    problems: list[str]
    tables: str


INDICATORS = ("url", "phone", "line_id")
_WORD = re.compile(r"\S{2,}")
_EMOJI = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
_SURFACE = (
    *INDICATORS,
    "length",
    "line breaks",
    "digits",
    "Latin letters",
    "blanks",
    "emoji",
    "exclamation marks",
    "question marks",
    "polite endings",
)


def audit_shortcuts(records: Sequence[Record]) -> ShortcutAudit:
    """Measure shortcuts in the texts as models see them, slots filled and blurred."""
    sides = Counter(record.label != BENIGN for record in records)
    if len(sides) < 2 or min(sides.values()) < FEWEST:
        problem = f"fewer than {FEWEST} harmful or honest texts: too few to look for shortcuts in"
        return ShortcutAudit([problem], "")
    texts = [prepare(record.text, record.id, SEED, blur=True) for record in records]
    labels = np.array([record.label for record in records])
    harmful = labels != BENIGN
    family = groups(records)
    group = [family[record.family] for record in records]
    surface = np.array([_surface(text) for text in texts])
    aucs = _surface_aucs(surface, harmful, group)
    problems = [*_surface_problems(aucs), *_link_problems(surface, labels), *_telltale_words(texts, harmful)]
    tables = [_class_table(surface, labels), _auc_table(aucs), _strongest(texts, labels)]
    return ShortcutAudit(problems, "\n".join(tables))


def _surface(text: str) -> list[float]:
    found = {each.type for each in find_indicators(normalize(text), text)}
    length = max(1, len(text))
    return [
        *(float(kind in found) for kind in INDICATORS),
        float(length),
        float(text.count("\n")),
        sum(character.isdigit() for character in text) / length,
        sum("a" <= character.lower() <= "z" for character in text) / length,
        text.count(" ") / length,
        float(len(_EMOJI.findall(text))),
        float(text.count("!")),
        float(text.count("?")),
        float(len(re.findall("ครับ|ค่ะ|คะ|นะคะ|จ้า", text))),
    ]


_TOGETHER = "all of these together"


def _surface_aucs(surface: Floats, harmful: npt.NDArray[np.bool_], group: Sequence[str]) -> dict[str, float]:
    """How well each surface feature, and all together, tell harmful (above 0.5) from honest (below)."""
    aucs = {name: float(roc_auc_score(harmful, values)) for name, values in zip(_SURFACE, surface.T, strict=True)}
    model = HistGradientBoostingClassifier(random_state=SEED, max_iter=100)
    risk = cross_val_predict(model, surface, harmful, groups=group, cv=GroupKFold(5), method="predict_proba")[:, 1]
    return {**aucs, _TOGETHER: float(roc_auc_score(harmful, risk))}


def _surface_problems(aucs: dict[str, float]) -> list[str]:
    problems = []
    for name, auc in aucs.items():
        bound = LARGEST_SURFACE_AUC if name == _TOGETHER else LARGEST_FEATURE_AUC
        if not 1 - bound <= auc <= bound:
            side, other = ("harmful", "honest") if auc > 0.5 else ("honest", "harmful")
            problems.append(
                f"shortcut: {name} tell harmful from honest with AUC {auc:.2f} (bound {bound}), more in {side} texts; "
                f"add {other} texts that have as much of it"
            )
    return problems


def _auc_table(aucs: dict[str, float]) -> str:
    lines = ["| surface feature | AUC, harmful against honest |", "|---|--:|"]
    return "\n".join([*lines, *(f"| {name} | {auc:.2f} |" for name, auc in aucs.items())]) + "\n"


def _link_problems(surface: Floats, labels: npt.NDArray[Any]) -> list[str]:
    problems = []
    for label in sorted(set(labels)):
        share = float((surface[labels == label, : len(INDICATORS)].max(1) > 0).mean())
        if not SMALLEST_LINK_SHARE <= share <= LARGEST_LINK_SHARE:
            problems.append(
                f"shortcut: {share:.0%} of {label} have a link, phone number or LINE id (bounds "
                f"{SMALLEST_LINK_SHARE:.0%} to {LARGEST_LINK_SHARE:.0%}); add texts of the other sort"
            )
    return problems


def _words(text: str) -> list[str]:
    return [word for piece in words(text.lower()) for word in _WORD.findall(piece)]


def _telltale_words(texts: Sequence[str], harmful: npt.NDArray[np.bool_]) -> list[str]:
    """Words so frequent on one side and so rare on the other that they decide alone."""
    counter = CountVectorizer(analyzer=_words, binary=True, min_df=2)
    counts = counter.fit_transform(texts)
    names = counter.get_feature_names_out()
    in_harmful = np.asarray(counts[harmful].mean(0)).ravel()
    in_honest = np.asarray(counts[~harmful].mean(0)).ravel()
    problems = []
    for mine, other, side in ((in_harmful, in_honest, "harmful"), (in_honest, in_harmful, "honest")):
        purity = mine / np.maximum(mine + other, 1e-12)
        for at in np.flatnonzero((mine >= TELLTALE[0]) & (purity >= TELLTALE[1])):
            problems.append(
                f"shortcut: {names[at]!r} stands in {mine[at]:.1%} of {side} texts and {other[at]:.1%} of the others; "
                "add texts of the other side that use it"
            )
    return problems


def _class_table(surface: Floats, labels: npt.NDArray[Any]) -> str:
    lines = [
        "| class | texts | link | phone | LINE id | length: 10% | 50% | 90% |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    length = surface[:, _SURFACE.index("length")]
    for label in default_taxonomy().labels:
        mine = labels == label
        if mine.any():
            shares = " | ".join(f"{share:.0%}" for share in surface[mine, : len(INDICATORS)].mean(0))
            lengths = " | ".join(f"{value:.0f}" for value in np.quantile(length[mine], (0.1, 0.5, 0.9)))
            lines.append(f"| {label} | {mine.sum()} | {shares} | {lengths} |")
    return "\n".join(lines) + "\n"


def _strongest(texts: Sequence[str], labels: npt.NDArray[Any], count: int = 12) -> str:
    """The words that weigh most for each class in a TF-IDF model."""
    vectorizer = TfidfVectorizer(analyzer=_words, min_df=2, sublinear_tf=True)
    features = vectorizer.fit_transform(texts)
    model = LogisticRegression(C=5, max_iter=300, class_weight="balanced").fit(features, labels)
    names = vectorizer.get_feature_names_out()
    rows = model.coef_ if len(model.classes_) > 2 else np.concatenate([-model.coef_, model.coef_])
    lines = ["| class | words that weigh most in a TF-IDF model |", "|---|---|"]
    for label, weights in zip(model.classes_, rows, strict=True):
        best = [str(names[at]).replace("|", "/") for at in np.argsort(-weights)[:count]]
        lines.append(f"| {label} | {', '.join(best)} |")
    return "\n".join(lines) + "\n"
