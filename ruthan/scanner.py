"""The one public entry: a message in, a verdict out."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from ruthan.errors import MessageError
from ruthan.evidence.indicators import find_indicators
from ruthan.message import Message
from ruthan.model.bundle import default_bundle, read_bundle
from ruthan.model.classifier import Classifier, Prediction
from ruthan.policy import default_policy, read_policy
from ruthan.taxonomy import BENIGN, default_taxonomy
from ruthan.text.normalize import normalize
from ruthan.text.normalized import NormalizedText
from ruthan.verdict import Verdict

BATCH = 64  # messages that scan_many holds at a time
_NOTHING_TO_READ = "ข้อความว่าง ไม่มีตัวอักษรให้ตรวจ"


class Scanner:
    """Scans messages with one model and one policy, loaded once; safe to share between threads.

    >>> from ruthan import Scanner
    >>> Scanner().scan("ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ").label
    'benign'
    """

    def __init__(self, model: Path | None = None, policy: Path | None = None, threads: int | None = None) -> None:
        """Load a model bundle and a policy, by default those that ship with ruthan.

        :param threads: how many texts are read at the same time; by default one a core.
        :raises BundleError: the bundle is missing, damaged or of another version.
        :raises PolicyError: the policy file cannot be used.
        """
        self.policy = read_policy(policy or default_policy())
        self.classifier = Classifier(read_bundle(model or default_bundle()), threads)
        self.taxonomy = default_taxonomy()

    @property
    def model(self) -> str:
        """The version of the model, as verdicts quote it."""
        return self.classifier.info.name

    def scan(self, message: str | Message) -> Verdict:
        """Judge one message.

        :raises MessageError: it is neither a text nor a `Message`.
        """
        return self._judge([message])[0]

    def scan_many(self, messages: Iterable[str | Message]) -> Iterator[Verdict]:
        """Judge messages as they come, in order, holding no more than `BATCH` of them at a time.

        The verdict on a message is the same as from `scan`, whatever its neighbours.

        :raises MessageError: one is neither a text nor a `Message`.
        """
        stream = iter(messages)
        while batch := list(islice(stream, BATCH)):
            yield from self._judge(batch)

    def _judge(self, batch: Sequence[str | Message]) -> list[Verdict]:
        messages = [_as_message(each) for each in batch]
        normalized = [normalize(message.text) for message in messages]
        readable = [index for index, text in enumerate(normalized) if text.text.strip()]
        predictions = self.classifier.classify([normalized[index].text.strip() for index in readable])
        by_index = dict(zip(readable, predictions, strict=True))
        return [
            self._verdict(message, text, by_index.get(index))
            for index, (message, text) in enumerate(zip(messages, normalized, strict=True))
        ]

    def _verdict(self, message: Message, text: NormalizedText, prediction: Prediction | None) -> Verdict:
        if prediction is None:
            risk, label, scores = 0.0, BENIGN, {BENIGN: 1.0}
            reasons = [_NOTHING_TO_READ]
        else:
            labels = self.classifier.info.labels
            ranked = [(labels[i], float(prediction.probabilities[i])) for i in np.argsort(-prediction.probabilities)]
            risk = round(1 - dict(ranked)[BENIGN], 6)
            likeliest = next(name for name, _ in ranked if name != BENIGN)
            label = likeliest if risk >= 0.5 else BENIGN
            scores = {name: round(score, 4) for name, score in ranked if score >= 0.01}
            reasons = self._reasons(risk, label, likeliest, prediction.windows)
        return Verdict(
            risk=risk,
            label=label,
            action=self.policy.action(risk),
            scores=scores,
            evidence=find_indicators(text, message.text),
            reasons=tuple(reasons),
            model=self.model,
            policy=self.policy.name,
            windows=prediction.windows if prediction else 0,
            source=message.source,
        )

    def _reasons(self, risk: float, label: str, likeliest: str, windows: int) -> list[str]:
        reasons = [self.taxonomy[label].reason]
        if label == BENIGN and self.policy.action(risk) != "allow":
            reasons = [f"บางส่วนของข้อความนี้คล้าย “{self.taxonomy[likeliest].thai}” ควรตรวจสอบให้แน่ใจก่อนทำตาม"]
        if windows > 1:
            reasons.append(f"ข้อความยาวเกินกว่าที่แบบจำลองจะอ่านได้ในครั้งเดียว จึงแบ่งอ่านเป็น {windows} ช่วง และใช้ช่วงที่เสี่ยงที่สุดตัดสิน")
        return reasons


def _as_message(value: str | Message) -> Message:
    if isinstance(value, Message):
        value_text: object = value.text
        message = value
    else:
        value_text = value
        message = Message(value) if isinstance(value, str) else Message("")
    if not isinstance(value_text, str):
        raise MessageError(f"a message is a text or a ruthan Message, not {type(value_text).__name__}")
    return message
