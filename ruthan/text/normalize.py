r"""Undo the disguises and typing habits of messages, with a map back to the text as received.

>>> normalize("เเจ้งเตือน\u200bบัญชี ๑๒๓").text
'แจ้งเตือนบัญชี 123'
>>> [(change.step, change.start, change.end, change.result) for change in normalize("ส.ล็.อ.ต โuนัa").changes]
[('letters_in_words', 9, 14, 'โบนัส'), ('dotted_words', 0, 8, 'สล็อต')]

A clean text passes through unchanged. Only a copy is changed: evidence is always reported on the original.
"""

from ruthan.text import broken_links, characters, divided_words, foreign_letters, lures, spelling
from ruthan.text.normalized import NormalizedText, Step, apply

# Written into every bundle: a model must see texts prepared the way its training texts were.
NORMALIZER_VERSION = "2"

STEPS: tuple[Step, ...] = (
    *characters.STEPS,
    *broken_links.STEPS,
    *spelling.STEPS,
    *foreign_letters.STEPS,
    *divided_words.STEPS,
    *lures.STEPS,
    characters.BLANKS,
)
DISGUISES = frozenset(step.name for step in STEPS if step.disguise)
"""Names of the steps that undo what people seldom write unless a filter is to be slipped past."""

_TRIGGERS = frozenset[str]().union(*(step.triggers for step in STEPS if step.triggers))
PASSES = 6  # undoing one disguise may lay bare another


def normalize(text: str) -> NormalizedText:
    """Apply `STEPS` in order, and all again while they find something. Never raises, whatever the text holds."""
    result = NormalizedText(text)
    for _ in range(PASSES):
        before = result
        triggers = _TRIGGERS.intersection(result.text)
        for step in STEPS:
            if step.triggers is None or not step.triggers.isdisjoint(triggers):
                after = apply(step, result)
                if after is not result:
                    result, triggers = after, _TRIGGERS.intersection(after.text)
        if result is before:
            break
    return result
