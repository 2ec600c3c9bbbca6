"""Read labelled texts: JSON lines, one record each, checked on the way in and split by family.

A record is `{"id", "text", "label", "kind", "lang", "channel", "family", "pair", "origin", "hard"}` and, where one
applies, `"flags"`. Nothing is trained on before every record has passed.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruthan.taxonomy import BENIGN, Taxonomy, default_taxonomy
from train.errors import CorpusError
from train.slots import slot_errors

CHANNELS = ("sms", "rcs", "line_broadcast", "chat", "post", "comment", "listing", "call", "email", "forward")
LANGUAGES = ("th", "en", "zh", "my", "lo", "km", "vi", "th-en", "th-karaoke", "hi", "tl", "ms", "ru")
FLAGS = ("needs_help", "quoted_lure", "illegal_recruitment")
SPLITS = ("train", "calibration", "test")


@dataclass(frozen=True)
class Record:
    """A labelled text. Records of one `family`, and the families of a `pair`, stay on one side of every split."""

    id: str
    text: str
    label: str
    kind: str | None
    lang: str
    channel: str
    family: str
    pair: str | None
    origin: str
    hard: bool
    flags: tuple[str, ...] = ()


_FIELDS = {"id", "text", "label", "kind", "lang", "channel", "family", "pair", "origin", "hard"}


def corpus_files(paths: Iterable[Path]) -> list[Path]:
    """The JSON lines files among `paths`; a folder stands for all that lie in it, by name.

    :raises CorpusError: a path does not exist, or no file was found.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files.extend(sorted(path.glob("*.jsonl")))
        elif path.is_file():
            files.append(path)
        else:
            raise CorpusError(f"no corpus at {path}; give a .jsonl file or a folder of them")
    if not files:
        raise CorpusError(f"no .jsonl file in {', '.join(map(str, paths))}")
    return files


def read_corpus(paths: Iterable[Path]) -> list[Record]:
    """All records of the files, checked.

    :raises CorpusError: naming file, line and field, at the first record that breaks a rule.
    """
    taxonomy = default_taxonomy()
    records: list[Record] = []
    places: dict[str, str] = {}
    for path in corpus_files(list(paths)):
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                place = f"{path}:{number}"
                record = _record(line, place, taxonomy)
                if record.id in places:
                    raise CorpusError(
                        f"{place}: id {record.id!r} stands already at {places[record.id]}; give a new one"
                    )
                places[record.id] = place
                records.append(record)
    for record in records:
        if record.pair is not None and record.pair not in places:
            raise CorpusError(f"{places[record.id]}: pair {record.pair!r} does not exist; name an id or null")
    return records


def _record(line: str, place: str, taxonomy: Taxonomy) -> Record:
    try:
        content: Any = json.loads(line)
    except ValueError as error:
        raise CorpusError(f"{place}: not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise CorpusError(f"{place}: a record is a JSON object, not {type(content).__name__}")
    if missing := sorted(_FIELDS - content.keys()):
        raise CorpusError(f"{place}: missing field {', '.join(missing)}")
    if unknown := sorted(content.keys() - _FIELDS - {"flags"}):
        raise CorpusError(f"{place}: unknown field {', '.join(unknown)}")

    def allowed(field: str, values: Sequence[str]) -> None:
        if content[field] not in values:
            raise CorpusError(f"{place}: {field} {content[field]!r} is not one of {', '.join(values)}")

    for field in ("id", "text", "family", "origin"):
        if not isinstance(content[field], str) or not content[field].strip():
            raise CorpusError(f"{place}: {field} must be a text that is not empty")
    allowed("label", taxonomy.labels)
    allowed("lang", LANGUAGES)
    allowed("channel", CHANNELS)
    if content["label"] == BENIGN:
        allowed("kind", taxonomy.kinds)
    elif content["kind"] is not None:
        raise CorpusError(f"{place}: kind belongs to benign records only; set it to null")
    if not isinstance(content["hard"], bool):
        raise CorpusError(f"{place}: hard must be true or false")
    flags = content.get("flags", [])
    if not isinstance(flags, list) or not set(flags) <= set(FLAGS):
        raise CorpusError(f"{place}: flags must be a list of {', '.join(FLAGS)}")
    if errors := slot_errors(content["text"]):
        raise CorpusError(f"{place}: text has {errors[0]}")
    return Record(**{**content, "flags": tuple(flags)})


def split_corpus(records: Sequence[Record], seed: int, shares: Sequence[float]) -> dict[str, list[Record]]:
    """Divide records into `train`, `calibration` and `test`, whole groups at a time.

    A group is all that families and pairs tie together. Which part it falls into depends on its ids and the
    seed alone, so that adding records moves none of the old ones. `shares` sum to 1.
    """
    group = _groups(records)
    parts: dict[str, list[Record]] = {name: [] for name in SPLITS}
    for record in records:
        digest = hashlib.sha256(f"{seed}:{group[record.family]}".encode()).digest()
        draw = int.from_bytes(digest[:8], "big") / 2**64
        part = SPLITS[0] if draw < shares[0] else SPLITS[1] if draw < shares[0] + shares[1] else SPLITS[2]
        parts[part].append(record)
    return parts


def _groups(records: Sequence[Record]) -> dict[str, str]:
    """For each family the smallest family that pairs tie it to (union-find)."""
    parent = {record.family: record.family for record in records}
    family_of = {record.id: record.family for record in records}

    def root(family: str) -> str:
        while parent[family] != family:
            parent[family] = parent[parent[family]]
            family = parent[family]
        return family

    for record in records:
        if record.pair is not None:
            one, other = sorted((root(record.family), root(family_of[record.pair])))
            parent[other] = one
    return {family: root(family) for family in parent}


def corpus_digest(records: Iterable[Record]) -> str:
    """A sha256 over ids, texts and labels, whatever their order."""
    lines = sorted(json.dumps([record.id, record.text, record.label], ensure_ascii=False) for record in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
