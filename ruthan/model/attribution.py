"""Which words of a message the model goes by, measured on the shipped network itself.

One run says what each token adds to the logits; the words that add most are then struck out one by one, and what that
takes from the log-odds of the label is their weight. So few runs are needed, and no weight rests on the first alone.
"""

import math
import re
from dataclasses import dataclass

from ruthan.model.classifier import Classifier, Prediction
from ruthan.taxonomy import BENIGN
from ruthan.text.words import words

STRUCK_OUT = 7  # words that are tried: with the first run and the scan itself, nine runs of the network
_LEAST = 1e-9


@dataclass(frozen=True)
class Word:
    """A word at `start` to `end` of the normalised text, and its weight: how far the log-odds of the label fall
    without it. Below 0 the word speaks against the label.
    """

    start: int
    end: int
    weight: float


def attribute(classifier: Classifier, text: str, prediction: Prediction) -> list[Word]:
    """The words that decide `prediction`, which is the classifier's of `text`, the weightiest first.

    The label is the likeliest harmful class where harm is as likely as not, else benign.
    """
    labels = classifier.info.labels
    harmless = labels.index(BENIGN)
    harmful = max((at for at in range(len(labels)) if at != harmless), key=lambda at: prediction.probabilities[at])
    contributions = classifier.contributions(text)
    if not contributions.spans:
        return []
    first, last = contributions.spans[0][0], contributions.spans[-1][1]
    window = text[first:last]
    chosen, other = (harmful, harmless) if prediction.probabilities[harmless] < 0.5 else (harmless, harmful)
    margins = contributions.logits[:, chosen] - contributions.logits[:, other]
    margins = margins - (contributions.mean[chosen] - contributions.mean[other])
    candidates: list[tuple[float, int, int]] = []
    for start, end in word_spans(window):
        parts = [
            margin
            for margin, (left, right) in zip(margins, contributions.spans, strict=True)
            if left < first + end and first + start < right
        ]
        candidates.append((float(sum(parts)), start, end))
    candidates.sort(key=lambda candidate: -candidate[0])
    tried = candidates[:STRUCK_OUT]
    without = [(window[:start] + window[end:]).strip() or " " for _, start, end in tried]
    rest = classifier.classify(without)
    whole = prediction if window.strip() == text.strip() else classifier.classify([window.strip()])[0]
    before = _log_odds(whole, harmless, chosen)
    found = [
        Word(first + start, first + end, round(before - _log_odds(each, harmless, chosen), 3))
        for (_, start, end), each in zip(tried, rest, strict=True)
    ]
    return sorted(found, key=lambda word: -word.weight)


def word_spans(text: str) -> list[tuple[int, int]]:
    """Start and end of each word that has a letter or a digit; what is not Thai is divided at blanks."""
    spans: list[tuple[int, int]] = []
    at = 0
    for run in words(text):
        for part in re.finditer(r"\S+", run):
            if any(character.isalnum() for character in part[0]):
                spans.append((at + part.start(), at + part.end()))
        at += len(run)
    return spans


def _log_odds(prediction: Prediction, harmless: int, chosen: int) -> float:
    benign = min(max(float(prediction.probabilities[harmless]), _LEAST), 1 - _LEAST)
    return math.log(benign / (1 - benign)) * (1 if chosen == harmless else -1)
