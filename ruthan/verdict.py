"""The verdict on a message: the same fields in Python, in JSON lines, from the endpoint and in reports."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from ruthan.errors import DataError
from ruthan.message import Source

Action = Literal["allow", "review", "block"]


@dataclass(frozen=True)
class Evidence:
    """Something found in the text.

    :param kind: `indicator` for an identifier that can be looked up, such as a phone number or a link; `signal` for
        words that press, threaten, lure or ask for help; `disguise` for characters written to slip past filters.
    :param type: what it is; a signal is named as in `data/signals.yaml`, a disguise by the step of `ruthan.text` that
        undid it, an indicator one of: `url`, `phone`, `hotline`, `line_id`, `telegram`, `whatsapp`, `facebook`,
        `email`, `bank_account`, `promptpay`, `promptpay_qr`, `citizen_id`, `crypto`, `money`, `ussd`,
        `recruitment_licence`.
    :param value: its canonical form; of a disguise what it reads; empty for a signal.
    :param text: exactly `message.text[start:end]`, offsets in code points of the text as received.
    :param details: what else is known, such as `domain`, `shortener`, `official` or `lookalike` of a link, `bank` of an
        account, `price` of a code. What is `official` speaks for a message, not against it. A signal is `quoted` where
        the message only warns, denies or tells of it; one of recruitment has a `strength` and a `source`.
    """

    kind: str
    type: str
    value: str
    text: str
    start: int
    end: int
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RecruitmentSigns:
    """How many signs of each strength a message about work shows, after the weighing of the ILO's indicators.

    What a message looks like; never a finding about who wrote or received it.
    """

    strong: int = 0
    medium: int = 0
    weak: int = 0


@dataclass(frozen=True)
class WordWeight:
    """A word that the model went by: exactly `message.text[start:end]`, and how far the log-odds of the label fall
    without it; below 0 it speaks against the label.
    """

    text: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class Verdict:
    """What ruthan says about one message.

    :param risk: calibrated probability that the message is harmful, 0 to 1.
    :param label: one class of `data/taxonomy.yaml`: the likeliest harmful one if `risk` is at least 0.5, else `benign`.
    :param action: what the policy does at this risk.
    :param scores: probability of each class that has at least 0.01, highest first.
    :param reasons: one to three plain sentences in Thai for who received the message; `reasons_en` in English.
    :param advice: what to do, in Thai; `advice_en` in English. Empty for what is allowed.
    :param needs_help: someone in the message may be held, or is searched for: a person should read it without delay.
    :param recruitment: signs of each strength, of a message about work; else None.
    :param model: version of the model.
    :param policy: name of the policy.
    :param windows: how many overlapping stretches the text was read in: 1, or more when it is longer than the
        model's window, and 0 when there was nothing to read.
    :param words: the words that the model went by, if that was asked for.
    :param source: where the message stands in a dump, if it came from one.
    """

    risk: float
    label: str
    action: Action
    scores: dict[str, float]
    evidence: tuple[Evidence, ...]
    reasons: tuple[str, ...]
    reasons_en: tuple[str, ...]
    advice: tuple[str, ...]
    advice_en: tuple[str, ...]
    needs_help: bool
    recruitment: RecruitmentSigns | None
    model: str
    policy: str
    windows: int
    words: tuple[WordWeight, ...] | None = None
    source: Source | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; what there is none of, such as `words`, `source` or `details`, is left out."""
        content = asdict(self)
        content["evidence"] = [
            {key: value for key, value in each.items() if value or key not in ("value", "details")}
            for each in content["evidence"]
        ]
        for name in ("reasons", "reasons_en", "advice", "advice_en"):
            content[name] = list(content[name])
        for name in ("recruitment", "words", "source"):
            if content[name] is None:
                del content[name]
        if self.words is not None:
            content["words"] = list(content["words"])
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Verdict":
        """The verdict that `to_dict` made plain values of, such as those of a reply or of a row of results; fields that
        a verdict has not are passed over, and any label is taken, as a later version may know more of them.

        :raises DataError: a field is missing, or its value is none that it can have.
        """
        action = _taken(content, "action", str)
        if action not in get_args(Action):
            raise DataError(f"no verdict: its action is none of {', '.join(get_args(Action))}")
        recruitment, words, source = (content.get(name) for name in ("recruitment", "words", "source"))
        return cls(
            risk=_probability(content, "risk"),
            label=_taken(content, "label", str),
            action=action,
            scores={name: _probability(content["scores"], name) for name in _taken(content, "scores", dict)},
            evidence=tuple(_evidence(each) for each in _taken(content, "evidence", list)),
            reasons=_texts(content, "reasons"),
            reasons_en=_texts(content, "reasons_en"),
            advice=_texts(content, "advice"),
            advice_en=_texts(content, "advice_en"),
            needs_help=_taken(content, "needs_help", bool),
            recruitment=None if recruitment is None else _recruitment(recruitment),
            model=_taken(content, "model", str),
            policy=_taken(content, "policy", str),
            windows=_taken(content, "windows", int),
            words=None if words is None else tuple(_word(each) for each in _taken(content, "words", list)),
            source=None if source is None else Source(_taken(source, "file", str), _taken(source, "line", int)),
        )


def _evidence(content: Any) -> Evidence:
    kind, type_, text = (_taken(content, name, str) for name in ("kind", "type", "text"))
    start, end = (_taken(content, name, int) for name in ("start", "end"))
    value = _taken(content, "value", str) if "value" in content else ""
    details = _taken(content, "details", dict) if "details" in content else {}
    return Evidence(kind, type_, value, text, start, end, {name: _taken(details, name, str) for name in details})


def _recruitment(content: Any) -> RecruitmentSigns:
    return RecruitmentSigns(*(_taken(content, each.name, int) for each in fields(RecruitmentSigns)))


def _word(content: Any) -> WordWeight:
    start, end = (_taken(content, name, int) for name in ("start", "end"))
    return WordWeight(_taken(content, "text", str), start, end, _number(content, "weight"))


def _probability(content: Any, name: str) -> float:
    number = _number(content, name)
    if not 0 <= number <= 1:
        raise _wrong(name)
    return number


def _number(content: Any, name: str) -> float:
    value = _taken(content, name, int, float)
    # JSON's whole numbers have no end, and Python reads NaN and Infinity, which JSON has not.
    if not abs(value) <= sys.float_info.max:
        raise _wrong(name)
    return float(value)


def _texts(content: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = _taken(content, name, list)
    if not all(isinstance(each, str) for each in texts):
        raise _wrong(name)
    return tuple(texts)


def _taken(content: Any, name: str, *kinds: type) -> Any:
    """The value of a field.

    :raises DataError: there is none, or none of these kinds.
    """
    value = content.get(name) if isinstance(content, Mapping) else None
    # JSON's true and false are numbers to Python.
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise _wrong(name)
    return value


def _wrong(name: str) -> DataError:
    return DataError(
        f"no verdict: its field {name} is missing or has no value of its kind; see the README for its fields"
    )
