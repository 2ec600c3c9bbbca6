"""File new labelled texts: checked, identifiers turned into slots, each with an id and a family.

python -m train.corpus add reviewed.csv --origin hotline-2026
"""

import contextlib
import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from reprlib import repr as shown  # cut where it is long
from typing import Any

from ruthan.dumps.encoding import UNDECODABLE, detect_encoding
from train.corpus.identifiers import slotted, written_identifiers
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
from train.corpus.spreadsheet import unguarded
from train.errors import CorpusError

NEAR = 0.5
LONGEST_HEADER = 1_000  # characters in which the delimiter is looked for

_DEFAULTS = {"kind": None, "lang": "th", "channel": "chat", "pair": None, "hard": False}
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_FIELDS = ("text", "label", "kind", "lang", "channel", "family", "pair", "hard", "flags")


@dataclass(frozen=True)
class Filed:
    """What became of a file of new texts.

    `records` were written to `path`; `left_out` says of each row that was not, why; `slots` counts identifiers
    replaced.
    """

    path: Path
    records: list[Record]
    left_out: list[str]
    slots: int


def add(
    source: Path, corpus: Iterable[Path], target: Path, origin: str, held_out: frozenset[str] = frozenset()
) -> Filed:
    """Append the texts of a CSV or JSON lines file to `target`; if any is wrong, none.

    Each row needs `text` and `label`; `kind` too if benign. `lang`, `channel`, `hard`, `flags`, `pair` and `family`
    are taken where they are given. A text near one of the `corpus` or of `target` joins its family. Left out, and
    named, are texts whose letters stand there already, the fifth of a family, those in `held_out` (digests), and rows
    whose label is still empty. In a CSV, which may be divided by commas, semicolons or tabs, other columns are passed
    over, and the apostrophe that keeps a text from being a formula is taken away, see `train.corpus.spreadsheet`.

    :raises CorpusError: naming the line and field of the first row that cannot be filed; nothing has been written.
    """
    try:
        files = [path for path in corpus if path.is_file() or any(path.glob("*.jsonl"))]
        files += [target] if target.is_file() else []
    except OSError as error:
        raise CorpusError(f"cannot write {str(target)[:80]}: {error.strerror}; nothing was filed") from error
    known = read_corpus(corpus_files(files)) if files else []
    filing = _Filing(known, target.stem, held_out)
    for place, row in _rows(source):
        filing.take(place, row, origin)
    filing.check_pairs()
    _append(target, filing.new)
    return Filed(target, filing.new, filing.left_out, filing.slots)


class _Filing:
    """The corpus as it was and what has been accepted so far."""

    def __init__(self, known: list[Record], prefix: str, held_out: frozenset[str]) -> None:
        self.records = list(known)
        self.new: list[Record] = []
        self.places: list[str] = []
        self.left_out: list[str] = []
        self.slots = 0
        self._held_out = held_out
        self._index = NearDuplicateIndex(NEAR)
        self._by_digest: dict[str, Record] = {}
        self._family: dict[str, str] = {}
        self._sizes: Counter[str] = Counter()
        for record in known:
            self._remember(record)
        # Above every number that was ever used, so that an old name never means another text.
        names = {name for record in known for name in (record.id, record.family, record.pair) if name}
        ends = (name.removeprefix(f"{prefix}-") for name in names if name.startswith(f"{prefix}-"))
        self._prefix, self._number = (
            prefix,
            max((int(end) for end in ends if end.isascii() and end.isdigit()), default=0),
        )

    def _remember(self, record: Record) -> None:
        self._index.add(record.text)
        self._by_digest.setdefault(text_digest(record.text), record)
        self._family.setdefault(record.family, record.label)
        self._sizes[record.family] += 1

    def take(self, place: str, row: Mapping[str, Any], origin: str) -> None:
        """Accept a row, leave it out, or raise."""
        if "label" in row and row["label"] in ("", None):
            self.left_out.append(f"{place}: it has no label yet")
            return
        written = row.get("text")
        if not isinstance(written, str):
            raise CorpusError(f"{place}: text must be a text")
        text, found = slotted(written)
        name = f"{self._prefix}-{self._number + 1:04d}"
        content = {**_DEFAULTS, **row, "text": text, "id": name, "family": row.get("family") or name, "origin": origin}
        record = parse_record(content, place)
        if rest := next(written_identifiers(text), None):
            raise CorpusError(f"{place}: text still has a {rest[0]} written out; put a slot such as {{phone}} there")
        earlier = self._by_digest.get(text_digest(text))
        if earlier is not None and earlier.label != record.label:
            raise CorpusError(
                f"{place}: the text stands already as {earlier.id}, labelled {earlier.label}, not {record.label}; "
                "settle which is right, then mend or drop one"
            )
        if earlier is not None:
            self.left_out.append(f"{place}: its letters stand already as {earlier.id}")
            return
        if self._held_out & {text_digest(text), text_digest(written)}:
            self.left_out.append(f"{place}: the text is held out for judging")
            return
        if not row.get("family"):
            record = self._with_family(record, place)
        if self._family.get(record.family, record.label) != record.label:
            raise CorpusError(
                f"{place}: family {record.family!r} is {self._family[record.family]}, not {record.label}; "
                "a paraphrase keeps the label"
            )
        if self._sizes[record.family] >= LARGEST_FAMILY:
            self.left_out.append(f"{place}: its family {record.family} has {LARGEST_FAMILY} texts already")
            return
        self._number += 1
        self._remember(record)
        self.records.append(record)
        self.new.append(record)
        self.places.append(place)
        self.slots += found

    def _with_family(self, record: Record, place: str) -> Record:
        near = self._index.find(record.text)
        if not near:
            return record
        relative = self.records[near[0][0]]
        if relative.label != record.label:
            raise CorpusError(
                f"{place}: the text is {near[0][1]:.0%} like {relative.id}, labelled {relative.label}, not "
                f"{record.label}; name a family of its own if both are right"
            )
        return replace(record, family=relative.family)

    def check_pairs(self) -> None:
        """See to it that every new pair exists."""
        ids = {record.id for record in self.records}
        for place, record in zip(self.places, self.new, strict=True):
            if record.pair is not None and record.pair not in ids:
                raise CorpusError(
                    f"{place}: pair {record.pair!r} does not exist; name an id of the corpus or leave it out"
                )


def _append(target: Path, new: Iterable[Record]) -> None:
    """Write the file anew beside the old one and put it in its place, so that no half-written line can be left."""
    lines = "".join(map(record_line, new)).encode("utf-8")
    if not lines:
        return
    partial = target.with_name(f"{target.name}.partial")
    try:
        old = target.read_bytes() if target.exists() else b""
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(old + (b"\n" if old and not old.endswith(b"\n") else b"") + lines)
        partial.replace(target.resolve())
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise CorpusError(f"cannot write {target}: {error.strerror}; nothing was filed") from error


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
    delimiter = _delimiter(io.StringIO(text, newline="").readline())
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    first = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        if not {"text", "label"} <= set(header):
            raise CorpusError(f"{source}:1: a header with text and label is needed; it has {_columns(header)}")
        if doubled := [name for name, count in Counter(header).items() if count > 1 and name in _FIELDS]:
            raise CorpusError(f"{source}:1: the column {doubled[0]} stands twice; rename one")
        while True:
            first = reader.line_num + 1
            cells = next(reader, None)
            if cells is None:
                return
            place = f"{source}:{first}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise CorpusError(
                    f"{place}: {len(cells)} cells where the header has {len(header)}; "
                    f"is a text with a {_DELIMITERS[delimiter]} unquoted?"
                )
            yield (
                place,
                {
                    name: _cell(name, cell)
                    for name, cell in zip(header, cells, strict=True)
                    if name in _FIELDS and (cell or name == "label")
                },
            )
    except csv.Error as error:
        raise CorpusError(f"{source}:{first}: {error}; is a quote missing?") from error


def _delimiter(header: str) -> str:
    """What divides the columns: spreadsheets write semicolons where the comma is the decimal sign."""
    try:
        # Of the header only, since a text may hold any of them; and not of a long line, which is none.
        return csv.Sniffer().sniff(header[:LONGEST_HEADER], "".join(_DELIMITERS)).delimiter
    except csv.Error:  # a single column, or nothing
        return ","


def _columns(header: list[str]) -> str:
    """The columns, named if one is a field's; else the line may be a message, and is only counted."""
    if not set(header) & set(_FIELDS):
        return f"{len(header)} other columns"
    return f"the columns {', '.join(map(shown, header[:20]))}{', …' if len(header) > 20 else ''}"


def _cell(field: str, value: str) -> Any:
    """A cell of a spreadsheet as the field's type."""
    if field == "hard":
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(value.lower(), value)
    if field == "flags":
        return [flag.strip() for flag in value.replace(";", ",").split(",") if flag.strip()]
    return unguarded(value) if field == "text" else value.strip()
