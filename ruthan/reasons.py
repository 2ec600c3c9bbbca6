"""Put a verdict into words: one to three sentences, and what to do, in Thai and in English.

The sentences are in `data/reasons.yaml` and `data/advice.yaml`; here is only which of them are said, and in what order.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruthan.errors import DataError
from ruthan.evidence.reference import hotlines
from ruthan.evidence.signals import default_signals
from ruthan.resources import read_yaml, shipped
from ruthan.taxonomy import BENIGN, Taxonomy, default_taxonomy
from ruthan.verdict import Action, Evidence

LANGUAGES = ("th", "en")
MOST = 3  # sentences, and signs that a sentence names
QUOTED = 48  # characters of a message that a sentence quotes at most


@dataclass(frozen=True)
class Wording:
    """Sentences in one language."""

    reasons: tuple[str, ...]
    advice: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """What a verdict says of a message, to be put into words."""

    label: str
    likeliest: str
    action: Action
    evidence: Sequence[Evidence]
    needs_help: bool
    windows: int


class Sentences:
    """The sentences of two files, checked once."""

    def __init__(self, reasons: Path, advice: Path, taxonomy: Taxonomy) -> None:
        """:raises DataError: a file is missing or malformed, or lacks a sentence that a label or a language needs."""
        self._reasons, self._advice = _read(reasons), _read(advice)
        self._taxonomy = taxonomy
        labels = set(taxonomy.labels)
        for path, table, needed in (
            (reasons, self._reasons.get("labels"), labels),
            (advice, self._advice.get("classes"), labels - {BENIGN}),
        ):
            if not isinstance(table, dict) or (lacking := sorted(needed - table.keys())):
                raise DataError(f"{path} has no sentence for {', '.join(lacking) if table else 'any label'}")
        for path, entries in (
            (reasons, [*self._reasons["labels"].values(), *(self._reasons.get(name) for name in _NAMED)]),
            (advice, [*self._advice["classes"].values(), *(self._advice.get(name) for name in ("paid", "needs_help"))]),
        ):
            for entry in entries:
                if not isinstance(entry, dict) or not all(
                    isinstance(entry.get(language), str) for language in LANGUAGES
                ):
                    raise DataError(f"{path}: a sentence lacks one of the languages {', '.join(LANGUAGES)}: {entry!r}")
        for number in re.findall(r"\{(\d+)\}", str(self._advice)):
            if number not in hotlines():
                raise DataError(f"{advice} names {number}, which is no hotline of data/public_contacts.yaml")
        self.checked = str(self._advice.get("checked"))

    def words(self, case: Case, language: str) -> Wording:
        """Reasons and advice for a case; no advice on what is allowed, nor on a message without anything to read."""
        reasons = self._lead(case, language) + self._findings(case, language)
        if case.windows > 1 and len(reasons) < MOST:
            reasons.append(self._say("long", language, windows=case.windows))
        return Wording(tuple(reasons[:MOST]), tuple(self._advise(case, language)))

    def _say(self, sentence: str, language: str, /, **values: object) -> str:
        return str(self._reasons[sentence][language]).format(**values)

    def _lead(self, case: Case, language: str) -> list[str]:
        if case.windows == 0:
            return [self._say("empty", language)]
        lead = [self._say("needs_help", language)] if case.needs_help else []
        if case.label == BENIGN and case.action != "allow" and not case.needs_help:
            likeliest = self._taxonomy[case.likeliest]
            lead.append(self._say("unsure", language, label=likeliest.thai if language == "th" else likeliest.english))
        elif case.label != BENIGN or not case.needs_help:
            lead.append(str(self._reasons["labels"][case.label][language]))
        return lead

    def _findings(self, case: Case, language: str) -> list[str]:
        found: list[str] = []
        signs = [each for each in case.evidence if each.kind == "signal"]
        if signs and all("quoted" in each.details for each in signs):
            found.append(self._say("quoted", language))
        elif case.action != "allow":
            names = default_signals().signals
            first = {each.type: each for each in reversed(signs) if "quoted" not in each.details}
            strongest = sorted(
                first.values(), key=lambda each: (_STRENGTH.get(each.details.get("strength", ""), 1), each.start)
            )
            said = [
                self._say(
                    "signal",
                    language,
                    name=names[each.type].thai if language == "th" else names[each.type].english,
                    text=_short(each.text),
                )
                for each in strongest[:MOST]
            ]
            if said:
                found.append(self._say("signals", language, list=_listed(said, language)))
        if case.action == "allow":
            return found
        for each in case.evidence:
            if "lookalike" in each.details:
                found.append(
                    self._say("lookalike", language, domain=each.details["domain"], brand=each.details["lookalike"])
                )
                break
        for each in case.evidence:
            if each.kind == "disguise" and each.value.strip():
                found.append(self._say("disguise", language, text=_short(each.text), value=_short(each.value)))
                break
        if any("shortener" in each.details for each in case.evidence):
            found.append(self._say("shortener", language))
        return found

    def _advise(self, case: Case, language: str) -> list[str]:
        advice: list[Mapping[str, Any]] = []
        if case.needs_help:
            advice.append(self._advice["needs_help"])
        if case.action != "allow" and not (case.needs_help and case.label == BENIGN):
            label = case.likeliest if case.label == BENIGN else case.label
            # No class is likely where there is nothing to read, which a policy may still want reviewed.
            if label != BENIGN:
                entry = self._advice["classes"][label]
                advice += [entry, self._advice["paid"]] if entry.get("paid") else [entry]
        return [re.sub(r"\{(\d+)\}", r"\1", str(each[language])) for each in advice]


_NAMED = ("unsure", "needs_help", "quoted", "empty", "long", "signals", "signal", "lookalike", "disguise", "shortener")
_STRENGTH = {"strong": 0, "medium": 1, "weak": 2}


def _short(text: str) -> str:
    """Words of a message on one line, cut where they run long."""
    line = " ".join(text.split())
    return line if len(line) <= QUOTED else f"{line[: QUOTED - 1]}…"


def _listed(items: list[str], language: str) -> str:
    """Items as a sentence lists them; Thai sets blanks between and a word before the last."""
    if language != "th":
        return "; ".join(items)
    return " ".join(items[:-1] + [f"และ{items[-1]}" if len(items) > 1 else items[-1]])


def _by_strength(sign: Evidence) -> tuple[int, int]:
    return _STRENGTH.get(sign.details.get("strength", ""), 1), sign.start


def _read(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no sentences")
    return content


@cache
def default_sentences() -> Sentences:
    """The sentences that ship with ruthan."""
    return Sentences(shipped("data", "reasons.yaml"), shipped("data", "advice.yaml"), default_taxonomy())
