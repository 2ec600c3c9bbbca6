"""File new labelled texts: checked, identifiers turned into slots, each with an id and a family.

python -m train.corpus add reviewed.csv --origin hotline-2026
"""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruthan.dumps.encoding import UNDECODABLE, detect_encoding
from train.corpus.identifiers import slotted
from train.corpus.near_duplicates import NearDuplicateIndex, text_digest
from train.corpus.records import (
    LARGEST_FAMILY,
    Record,
    corpus_files,
    parse_record,
    read_corpus,
    read_lines,
    record_line,
)
from train.errors import CorpusError

NEAR = 0.5

_DEFAULTS = {"kind": None, "lang": "th", "channel": "chat", "pair": None, "hard": False}


@dataclass(frozen=True)
class Filed:
    """What became of a file of new texts.

    `records` were written to `path`; `repeats` say of each row left out why; `slots` counts identifiers replaced.
    """

    path: Path
    records: list[Record]
    repeats: list[str]
    slots: int


def add(source: Path, corpus: Iterable[Path], target: Path, origin: str) -> Filed:
    """Append the texts of a CSV or JSON lines file to `target`, which belongs to `corpus`; all of them or none.

    Each row needs `text` and `label`; `kind` too if benign. `lang`, `channel`, `hard`, `flags`, `pair` and `family`
    are taken where they are given. A text near one of the corpus joins its family; an exact repeat is left out.

    :raises CorpusError: naming the line and field of the first row that cannot be filed; nothing has been written.
    """
    files = corpus_files([*corpus, *([target] if target.is_file() else [])])
    known = read_corpus(dict.fromkeys(files))
    index = NearDuplicateIndex(NEAR)
    digests: dict[str, Record] = {}
    for record in known:
        index.add(record.text)
        digests.setdefault(text_digest(record.text), record)
    prefix = target.stem
    number = _last_number(known, prefix)
    families = [record.family for record in known]
    new: list[Record] = []
    repeats: list[str] = []
    slots = 0
    for place, row in _rows(source):
        text, found = slotted(str(row.get("text") or ""))
        number += 1
        name = f"{prefix}-{number:04d}"
        record = parse_record(
            {**_DEFAULTS, **row, "text": text, "id": name, "family": row.get("family") or name, "origin": origin}, place
        )
        earlier = digests.get(text_digest(text))
        if earlier is not None:
            number -= 1
            if earlier.label != record.label:
                raise CorpusError(
                    f"{place}: the text stands already as {earlier.id}, labelled {earlier.label}, not {record.label}; "
                    "settle which is right, then mend or drop one"
                )
            repeats.append(f"{place}: stands already as {earlier.id}")
            continue
        if not row.get("family"):
            record = _with_family(record, index, [*known, *new], place)
        if families.count(record.family) >= LARGEST_FAMILY:
            number -= 1
            repeats.append(f"{place}: its family {record.family} has {LARGEST_FAMILY} texts already")
            continue
        index.add(text)
        digests[text_digest(text)] = record
        families.append(record.family)
        new.append(record)
        slots += found
    _append(target, new, [*known, *new])
    return Filed(target, new, repeats, slots)


def _with_family(record: Record, index: NearDuplicateIndex, filed: list[Record], place: str) -> Record:
    near = index.find(record.text)
    if not near:
        return record
    relative = filed[near[0][0]]
    if relative.label != record.label:
        raise CorpusError(
            f"{place}: the text is {near[0][1]:.0%} like {relative.id}, labelled {relative.label}, not {record.label}; "
            "name a family of its own if both are right"
        )
    return replace(record, family=relative.family)


def _last_number(records: Iterable[Record], prefix: str) -> int:
    numbers = [record.id.removeprefix(f"{prefix}-") for record in records if record.id.startswith(f"{prefix}-")]
    return max((int(number) for number in numbers if number.isdigit()), default=0)


def _append(target: Path, new: Iterable[Record], everything: list[Record]) -> None:
    """Write the file anew beside the old one and put it in its place, so that no half-written line can be left."""
    ids = {record.id for record in everything}
    for record in everything:
        if record.pair is not None and record.pair not in ids:
            raise CorpusError(f"{record.id}: pair {record.pair!r} does not exist; name an id or leave it out")
    old = target.read_text(encoding="utf-8") if target.is_file() else ""
    if old and not old.endswith("\n"):
        old += "\n"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    partial.write_text(old + "".join(map(record_line, new)), encoding="utf-8")
    os.replace(partial, target)


def _rows(source: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Place and fields of each row; of a CSV only the columns that a record knows."""
    if source.suffix.lower() in (".jsonl", ".ndjson"):
        yield from read_lines([source])
        return
    try:
        data = source.read_bytes()
    except OSError as error:
        raise CorpusError(f"cannot read {source}: {error.strerror}") from error
    text = data.decode(detect_encoding(data).name, "ruthan-undecodable")
    if UNDECODABLE in text:
        raise CorpusError(f"{source} has bytes that are no text in its encoding; save it as UTF-8")
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    fields = ("text", "label", "kind", "lang", "channel", "family", "pair", "hard", "flags")
    if rows.fieldnames is None or not {"text", "label"} <= set(rows.fieldnames):
        raise CorpusError(f"{source}:1: a header with text and label is needed; found: {rows.fieldnames}")
    try:
        for row in rows:
            yield f"{source}:{rows.line_num}", {key: _cell(key, row[key]) for key in fields if row.get(key)}
    except csv.Error as error:
        raise CorpusError(f"{source}:{rows.line_num}: {error}; is a quote missing?") from error


def _cell(field: str, value: str) -> Any:
    """A cell of a spreadsheet as the field's type."""
    if field == "hard":
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(value.lower(), value)
    if field == "flags":
        return [flag.strip() for flag in value.replace(";", ",").split(",") if flag.strip()]
    return value.strip() if field != "text" else value
