"""What a detector reports: a span of the normalised text that is an identifier."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Found:
    """An identifier at `start` to `end` of the normalised text.

    :param type: what it is, such as `phone`.
    :param value: its canonical form.
    :param details: what else is known, such as the bank of an account; names and values for people and programs.
    """

    type: str
    start: int
    end: int
    value: str
    details: dict[str, str] = field(default_factory=dict)


TRAILING = ".,;:!?)]}…\"'"  # punctuation that ends a sentence, not an identifier
