"""Read labelled messages from elsewhere, and rewrite them with links or digits masked."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruthan.evidence.indicators import find_indicators
from ruthan.taxonomy import default_taxonomy
from ruthan.text.normalize import normalize
from train.corpus.challenge import SEED
from train.corpus.near_duplicates import text_digest
from train.corpus.records import read_lines
from train.errors import CorpusError
from train.evaluation.names import AS_IT_IS, DIGITS_MASKED, LINKS_MASKED
from train.slots import prepare, slot_errors

MASK = "ลิงก์"  # stands for every link where links are masked
FIELDS = ("kind", "channel", "lang", "origin", "disguise")
NOT_STATED, NONE = "not stated", "none"


@dataclass(frozen=True)
class Labelled:
    """Labelled messages of one file.

    :param texts: as a scanner gets them: the slots of corpus records are filled.
    :param digests: what names each text, see `text_digest`.
    :param fields: of each of `FIELDS` the value of every text: "none" for a null, "not stated" where it is missing.
    :param unlabelled: how many lines were left out, as their label is null.
    """

    texts: list[str]
    labels: list[str]
    digests: list[str]
    fields: dict[str, list[str]]
    unlabelled: int


def read_labelled(path: Path, assume: str | None = None, held_out: frozenset[str] | None = None) -> Labelled:
    """The messages of a JSON lines file with `text` and `label`; a line with `id` and `family` too is a corpus record.

    `assume` is the label of lines that lack the field; a null label leaves a line out. With `held_out`, only texts
    with those digests are read.

    :raises CorpusError: a line is no JSON, has no text, its label is unknown, or a record's slots are wrong.
    """
    labels_known = default_taxonomy().labels
    found = Labelled([], [], [], {field: [] for field in FIELDS}, 0)
    unlabelled = 0
    for place, content in read_lines([path]):
        text, label = content.get("text"), content.get("label", assume)
        if not isinstance(text, str) or ("label" not in content and assume is None):
            raise CorpusError(f"{place}: a line needs the fields text and label")
        digest = text_digest(text)
        if held_out is not None and digest not in held_out:
            continue
        if label is None:
            unlabelled += 1
            continue
        if label not in labels_known:
            raise CorpusError(f"{place}: unknown label {label!r}; known are: {', '.join(labels_known)}")
        found.texts.append(_filled(text, content, place))
        found.labels.append(label)
        found.digests.append(digest)
        for field, values in found.fields.items():
            values.append(_value(content, field))
    if not found.texts:
        raise CorpusError(f"{path} holds no labelled message" + (" of those held out" if held_out is not None else ""))
    return Labelled(found.texts, found.labels, found.digests, found.fields, unlabelled)


def _filled(text: str, content: dict[str, Any], place: str) -> str:
    """The text as it stands or, of a corpus record, with its slots filled, always in the same way."""
    if not (isinstance(content.get("id"), str) and "family" in content):
        return text
    if errors := slot_errors(text):
        raise CorpusError(f"{place}: text has {errors[0]}")
    return prepare(text, content["id"], SEED)


def _value(content: dict[str, Any], field: str) -> str:
    value = content.get(field, NOT_STATED)
    if value is None:
        return NONE
    return value[:40] if isinstance(value, str) else NOT_STATED


def mask_links(text: str) -> str:
    """`text` with the word for link in place of every link."""
    pieces: list[str] = []
    at = 0
    for each in find_indicators(normalize(text), text):
        if each.type == "url" or "link" in each.details:  # a link into a chat app has the app's type
            pieces += [text[at : each.start], MASK]
            at = each.end
    return "".join([*pieces, text[at:]])


def mask_digits(text: str) -> str:
    """`text` with 0 in place of every digit, Thai ones too."""
    return re.sub(r"\d", "0", text)


MASKINGS: dict[str, Callable[[str], str]] = {AS_IT_IS: str, LINKS_MASKED: mask_links, DIGITS_MASKED: mask_digits}
