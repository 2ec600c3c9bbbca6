"""The one public entry: a message in, a verdict out."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from ruthan.errors import MessageError
from ruthan.evidence.disguises import find_disguises
from ruthan.evidence.indicators import find_indicators
from ruthan.evidence.signals import count_recruitment_signs, default_signals
from ruthan.masking import mask_evidence, mask_with
from ruthan.message import Message
from ruthan.model.attribution import attribute
from ruthan.model.bundle import default_bundle, read_bundle
from ruthan.model.classifier import Classifier, Prediction
from ruthan.policy import default_policy, read_policy
from ruthan.reasons import Case, default_sentences
from ruthan.taxonomy import BENIGN, default_taxonomy
from ruthan.text.normalize import normalize
from ruthan.text.normalized import NormalizedText
from ruthan.verdict import Evidence, Verdict, WordWeight

BATCH = 64  # messages that scan_many holds at a time


class Memory(Protocol):
    """Remembers what the model said of texts, so that it is not asked again."""

    def recall(self, texts: Iterable[str]) -> dict[str, Prediction]:
        """What is known of these normalised texts."""

    def keep(self, predictions: Mapping[str, Prediction]) -> None:
        """Remember what the model said, by normalised text."""


@dataclass(frozen=True)
class _Found:
    """What stands in a text: `evidence` holds all of `indicators` and `signals`, and disguises, in order."""

    indicators: tuple[Evidence, ...]
    signals: tuple[Evidence, ...]
    evidence: tuple[Evidence, ...]


class Scanner:
    """Scans messages with one model and one policy, loaded once; safe to share between threads.

    >>> from ruthan import Scanner
    >>> Scanner().scan("ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ").label
    'benign'
    """

    def __init__(
        self,
        model: Path | None = None,
        policy: Path | None = None,
        threads: int | None = None,
        mask: bool = False,
    ) -> None:
        """Load a model bundle and a policy, by default those that ship with ruthan.

        :param threads: how many texts are read at the same time; by default one a core.
        :param mask: hide in verdicts what identifies people, see `ruthan.masking`.
        :raises BundleError: the bundle is missing, damaged or of another version.
        :raises PolicyError: the policy file cannot be used.
        :raises DataError: the signs or the sentences that come with ruthan cannot be used.
        """
        self.policy = read_policy(policy or default_policy())
        self.classifier = Classifier(read_bundle(model or default_bundle()), threads)
        self.taxonomy = default_taxonomy()
        self.mask = mask
        self._signals = default_signals()
        self._sentences = default_sentences()

    @property
    def model(self) -> str:
        """The version of the model, as verdicts quote it."""
        return self.classifier.info.name

    def scan(self, message: str | Message, explain: bool = False) -> Verdict:
        """Judge one message; with `explain` also say which words the model went by, at up to ten times the cost.

        The channel of a `Message` chooses the thresholds, where the policy has some of its own for it.

        :raises MessageError: it is neither a text nor a `Message`.
        """
        return self._judge([message], explain)[0]

    def scan_many(
        self, messages: Iterable[str | Message], explain: bool = False, memory: Memory | None = None
    ) -> Iterator[Verdict]:
        """Judge messages as they come, in order, holding no more than `BATCH` of them at a time.

        The verdict on a message is the same as from `scan`, whatever its neighbours. A `memory` is asked before the
        model is, and told what the model said.

        :raises MessageError: one is neither a text nor a `Message`.
        """
        stream = iter(messages)
        while batch := list(islice(stream, BATCH)):
            yield from self._judge(batch, explain, memory)

    def _judge(self, batch: Sequence[str | Message], explain: bool, memory: Memory | None = None) -> list[Verdict]:
        messages = [_as_message(each) for each in batch]
        normalized = [normalize(message.text) for message in messages]
        readable = {index: text.text.strip() for index, text in enumerate(normalized) if text.text.strip()}
        known = memory.recall(readable.values()) if memory else {}
        asked = [text for text in dict.fromkeys(readable.values()) if text not in known]
        answers = self.classifier.begin(asked)  # while other threads read the texts, this one looks for evidence
        found = [self._found(message.text, text) for message, text in zip(messages, normalized, strict=True)]
        learned = dict(zip(asked, answers(), strict=True))
        if memory:
            memory.keep(learned)
        predictions = {**known, **learned}
        return [
            self._verdict(message, text, signs, predictions[readable[index]] if index in readable else None, explain)
            for index, (message, text, signs) in enumerate(zip(messages, normalized, found, strict=True))
        ]

    def _found(self, original: str, text: NormalizedText) -> _Found:
        """What stands in a text, whatever the model says of it."""
        indicators = find_indicators(text, original)
        signals = tuple(sign for sign in self._signals.find(text, original) if not _inside(sign, indicators))
        evidence = tuple(
            sorted((*indicators, *signals, *find_disguises(text, original)), key=lambda each: (each.start, each.end))
        )
        return _Found(indicators, signals, evidence)

    def _verdict(
        self, message: Message, text: NormalizedText, found: _Found, prediction: Prediction | None, explain: bool
    ) -> Verdict:
        original, evidence = message.text, found.evidence
        needs_help = self._signals.needs_help(found.signals)
        words = self._words(text, original, prediction) if explain else None
        if self.mask:
            original = mask_with(original, found.indicators)
            evidence = mask_evidence(evidence, original)
            if words is not None:
                words = [replace(each, text=original[each.start : each.end]) for each in words]
        labels = self.classifier.info.labels
        if prediction is None:
            ranked = [(BENIGN, 1.0)]
        else:
            ranked = [(labels[i], float(prediction.probabilities[i])) for i in np.argsort(-prediction.probabilities)]
        risk = round(1 - dict(ranked)[BENIGN], 6)
        likeliest = next((name for name, _ in ranked if name != BENIGN), BENIGN)
        case = Case(
            label=likeliest if risk >= 0.5 else BENIGN,
            likeliest=likeliest,
            action=self.policy.action(risk, needs_help, message.channel),
            evidence=evidence,
            needs_help=needs_help,
            windows=prediction.windows if prediction else 0,
        )
        thai, english = (self._sentences.words(case, language) for language in ("th", "en"))
        return Verdict(
            risk=risk,
            label=case.label,
            action=case.action,
            scores={name: round(score, 4) for name, score in ranked if score >= 0.01},
            evidence=evidence,
            reasons=thai.reasons,
            reasons_en=english.reasons,
            advice=thai.advice,
            advice_en=english.advice,
            needs_help=needs_help,
            recruitment=count_recruitment_signs(found.signals) if self._signals.about_work(text) else None,
            model=self.model,
            policy=self.policy.name,
            windows=case.windows,
            words=tuple(words) if words is not None else None,
            source=message.source,
        )

    def _words(self, text: NormalizedText, original: str, prediction: Prediction | None) -> list[WordWeight]:
        """The words that the model went by, in the text as received."""
        if prediction is None:
            return []
        found: list[WordWeight] = []
        for word in attribute(self.classifier, text.text, prediction):
            start, end = text.to_original(word.start, word.end)
            found.append(WordWeight(original[start:end], start, end, word.weight))
        return found


def _inside(sign: Evidence, indicators: tuple[Evidence, ...]) -> bool:
    """Whether a sign is only part of an identifier, as a town's name in a chat id is."""
    before = bisect_right(indicators, sign.start, key=lambda each: each.start)  # they are in order and apart
    return before > 0 and sign.end <= indicators[before - 1].end


def _as_message(value: str | Message) -> Message:
    if isinstance(value, Message):
        value_text: object = value.text
        message = value
    else:
        value_text = value
        message = Message(value) if isinstance(value, str) else Message("")
    if not isinstance(value_text, str):
        raise MessageError(f"a message is a text or a ruthan Message, not {type(value_text).__name__}")
    if not isinstance(message.channel, str | None):
        raise MessageError(f"the channel of a message is its name or None, not {type(message.channel).__name__}")
    return message
