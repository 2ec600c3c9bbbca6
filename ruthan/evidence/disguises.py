"""The disguises that normalising undid, as evidence: which characters were written in disguise, and what they read."""

from ruthan.text.normalize import DISGUISES
from ruthan.text.normalized import NormalizedText
from ruthan.verdict import Evidence

MOST = 100  # that are reported of one message


def find_disguises(text: NormalizedText, original: str) -> tuple[Evidence, ...]:
    """What people seldom write unless a filter is to be slipped past. Mere typing habits are left out."""
    found = [
        Evidence("disguise", change.step, change.result, original[change.start : change.end], change.start, change.end)
        for change in text.changes
        if change.step in DISGUISES
    ]
    return tuple(sorted(found[:MOST], key=lambda each: each.start))
