"""The verdict on a message: the same fields in Python, in JSON lines, from the endpoint and in reports."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ruthan.message import Source

Action = Literal["allow", "review", "block"]


@dataclass(frozen=True)
class Evidence:
    """Something found in the text.

    :param kind: `indicator` for an identifier that can be looked up, such as a phone number or a link.
    :param type: what it is: `url`, `phone`, `hotline`, `line_id`, `telegram`, `whatsapp`, `facebook`, `email`,
        `bank_account`, `promptpay`, `promptpay_qr`, `citizen_id`, `crypto`, `money`, `ussd`, `recruitment_licence`.
    :param value: its canonical form.
    :param text: exactly `message.text[start:end]`, offsets in code points of the text as received.
    :param details: what else is known, such as `domain`, `shortener`, `official` or `lookalike` of a link, `bank` of an
        account, `price` of a code. What is `official` speaks for a message, not against it.
    """

    kind: str
    type: str
    value: str
    text: str
    start: int
    end: int
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What ruthan says about one message.

    :param risk: calibrated probability that the message is harmful, 0 to 1.
    :param label: one class of `data/taxonomy.yaml`: the likeliest harmful one if `risk` is at least 0.5, else `benign`.
    :param action: what the policy does at this risk.
    :param scores: probability of each class that has at least 0.01, highest first.
    :param reasons: plain Thai sentences for who received the message.
    :param model: version of the model.
    :param policy: name of the policy.
    :param windows: how many overlapping stretches the text was read in: 1, or more when it is longer than the
        model's window, and 0 when there was nothing to read.
    :param source: where the message stands in a dump, if it came from one.
    """

    risk: float
    label: str
    action: Action
    scores: dict[str, float]
    evidence: tuple[Evidence, ...]
    reasons: tuple[str, ...]
    model: str
    policy: str
    windows: int
    source: Source | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON; `source`, and `details` of evidence, only if there are any."""
        content = asdict(self)
        content["evidence"] = [
            {key: value for key, value in each.items() if key != "details" or value} for each in content["evidence"]
        ]
        content["reasons"] = list(content["reasons"])
        if self.source is None:
            del content["source"]
        return content
