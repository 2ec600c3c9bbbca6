"""Divide judged texts by what is known of them, so that a good mean cannot hide where a model fails."""

from collections.abc import Iterable, Sequence

from ruthan.evidence.indicators import find_indicators
from ruthan.text.normalize import normalize
from train.evaluation.labelled import Labelled

LENGTHS = (40, 80, 160, 320, 640)  # characters; the last of each bucket


def slices_of(labelled: Labelled, trained_domains: frozenset[str]) -> dict[str, list[str]]:
    """By dimension, the slice that each text falls into; `trained_domains` are those of links in training texts."""
    return {
        "class": labelled.labels,
        "kind": labelled.fields["kind"],
        "channel": labelled.fields["channel"],
        "language": labelled.fields["lang"],
        "length": [length_bucket(text) for text in labelled.texts],
        "origin": labelled.fields["origin"],
        "disguise": labelled.fields["disguise"],
        "domain of links": domain_slices(labelled.texts, trained_domains),
    }


def length_bucket(text: str) -> str:
    """How many characters a text has, roughly."""
    least = 0
    for most in LENGTHS:
        if len(text) <= most:
            return f"{least} to {most} characters"
        least = most + 1
    return f"over {LENGTHS[-1]} characters"


def domain_slices(texts: Sequence[str], trained: frozenset[str]) -> list[str]:
    """Whether a text has links, and whether none of their registrable domains stands in a training text."""
    found = [link_domains([text]) for text in texts]
    return ["no link" if not each else "seen in training" if each & trained else "not in training" for each in found]


def link_domains(texts: Iterable[str]) -> frozenset[str]:
    """The registrable domains of all links, in lower case; of a link into a chat app, the app's host."""
    domains: set[str] = set()
    for text in texts:
        for each in find_indicators(normalize(text), text):
            if "domain" in each.details and each.type == "url":
                domains.add(each.details["domain"].lower())
            elif "link" in each.details:
                domains.add(each.details["link"].partition("://")[2].partition("/")[0].lower())
    return frozenset(domains)
