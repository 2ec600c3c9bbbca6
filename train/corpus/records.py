"""Read labelled texts: JSON lines, one record each, checked on the way in.

A record is `{"id", "text", "label", "kind", "lang", "channel", "family", "pair", "origin", "hard"}` and, where one
applies, `"flags"`. Nothing is trained on before every record has passed.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ruthan.taxonomy import BENIGN, default_taxonomy
from train.errors import CorpusError
from train.slots import slot_errors

CHANNELS = ("sms", "rcs", "line_broadcast", "chat", "post", "comment", "listing", "call", "email", "forward")
LANGUAGES = ("th", "en", "zh", "my", "lo", "km", "vi", "th-en", "th-karaoke", "hi", "tl", "ms", "ru")
LARGEST_FAMILY = 4  # a text and three paraphrases
LONGEST_TEXT = 20_000  # characters; a message, not a book
UNLABELLED = "unlabelled"  # the label of a text that has none and that a teacher is to judge
FLAGS = ("needs_help", "quoted_lure", "illegal_recruitment")


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


_UNENCODABLE = re.compile("[\ud800-\udfff\x00]")
_FIELDS = {"id", "text", "label", "kind", "lang", "channel", "family", "pair", "origin", "hard"}


def corpus_files(paths: Iterable[Path]) -> list[Path]:
    """The JSON lines files among `paths`; a folder stands for all that lie in it, by name.

    :raises CorpusError: a path does not exist, or no file was found.
    """
    files: dict[Path, None] = {}  # a path named twice is read once
    for path in paths:
        try:
            if path.is_dir():
                files.update(dict.fromkeys(sorted(path.glob("*.jsonl"))))
                continue
            if path.is_file():
                files[path] = None
                continue
        except OSError as error:
            raise CorpusError(f"cannot read {str(path)[:80]}: {error.strerror}") from error
        raise CorpusError(f"no corpus at {path}; give a .jsonl file or a folder of them")
    if not files:
        raise CorpusError(f"no .jsonl file in {', '.join(map(str, paths))}")
    return list(files)


def read_corpus(paths: Iterable[Path]) -> list[Record]:
    """All records of the files, checked.

    :raises CorpusError: naming file, line and field, at the first record that breaks a rule.
    """
    return [record for _, record in read_with_places(paths)]


def read_with_places(paths: Iterable[Path]) -> list[tuple[str, Record]]:
    """As `read_corpus`, each record behind its `file:line`."""
    placed = [(place, parse_record(content, place)) for place, content in read_lines(corpus_files(list(paths)))]
    places: dict[str, str] = {}
    families: dict[str, tuple[str, Record]] = {}
    sizes: Counter[str] = Counter()
    for place, record in placed:
        if record.id in places:
            raise CorpusError(f"{place}: id {record.id!r} stands already at {places[record.id]}; give a new one")
        places[record.id] = place
        first_place, first = families.setdefault(record.family, (place, record))
        if record.label != first.label:
            raise CorpusError(
                f"{place}: family {record.family!r} is {first.label} at {first_place} and {record.label} here; "
                "a paraphrase keeps the label, else give it a family of its own"
            )
        sizes[record.family] += 1
        if sizes[record.family] > LARGEST_FAMILY:
            raise CorpusError(
                f"{place}: family {record.family!r} has more than {LARGEST_FAMILY} records; "
                "three paraphrases of one text are enough, write a new one"
            )
    for place, record in placed:
        if record.pair is not None and record.pair not in places:
            raise CorpusError(f"{place}: pair {record.pair!r} does not exist; name an id or null")
    if not placed:
        raise CorpusError("there is no record in the corpus")
    return placed


def read_lines(files: Iterable[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    """`file:line` and the JSON object of every line that is not blank.

    :raises CorpusError: a file cannot be read, is no UTF-8, or a line is no JSON object.
    """
    for path in files:
        try:
            text = path.read_text(encoding="utf-8-sig")
        except OSError as error:
            raise CorpusError(f"cannot read {path}: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise CorpusError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip():
                continue
            place = f"{path}:{number}"
            try:
                content: Any = json.loads(line)
            except ValueError as error:
                raise CorpusError(f"{place}: not valid JSON: {error}") from error
            except RecursionError as error:
                raise CorpusError(f"{place}: not valid JSON: nested too deeply") from error
            if not isinstance(content, dict):
                raise CorpusError(f"{place}: a record is a JSON object, not {type(content).__name__}")
            yield place, content


def parse_record(content: Mapping[str, Any], place: str) -> Record:
    """The record that a JSON object holds.

    :raises CorpusError: naming `place` and the field that breaks a rule.
    """
    taxonomy = default_taxonomy()
    if missing := sorted(_FIELDS - content.keys()):
        raise CorpusError(f"{place}: missing field {', '.join(missing)}")
    if unknown := sorted(content.keys() - _FIELDS - {"flags"}):
        raise CorpusError(f"{place}: unknown field {', '.join(unknown)}")

    def allowed(field: str, values: Sequence[str]) -> None:
        if content[field] not in values:
            shown = repr(content[field])  # cut: what stands in a wrong column may be somebody's message
            shown = shown if len(shown) <= 24 else f"{shown[:20]}…"
            raise CorpusError(f"{place}: {field} {shown} is not one of {', '.join(values)}")

    for field in ("id", "text", "family", "origin", "pair"):
        _check_text(field, content[field], place)
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
    if not isinstance(flags, list) or any(flag not in FLAGS for flag in flags):
        raise CorpusError(f"{place}: flags must be a list of {', '.join(FLAGS)}")
    if errors := slot_errors(content["text"]):
        raise CorpusError(f"{place}: text has {errors[0]}")
    return Record(**{**content, "flags": tuple(flags)})


def _check_text(field: str, value: Any, place: str) -> None:
    if field == "pair" and value is None:
        return
    if not isinstance(value, str) or not value.strip():
        expected = "an id or null" if field == "pair" else "a text that is not empty"
        raise CorpusError(f"{place}: {field} must be {expected}")
    if _UNENCODABLE.search(value):
        raise CorpusError(f"{place}: {field} holds half a character (a lone surrogate) or a null; remove it")
    if len(value) > LONGEST_TEXT:
        raise CorpusError(f"{place}: {field} has {len(value):,} characters; {LONGEST_TEXT:,} are allowed")


def record_line(record: Record) -> str:
    """The record as it stands in a file, line break included."""
    content = asdict(record)
    flags = content.pop("flags")
    return json.dumps(content | ({"flags": list(flags)} if flags else {}), ensure_ascii=False) + "\n"


def corpus_digest(records: Iterable[Record]) -> str:
    """A sha256 over everything that the records say, whatever their order."""
    lines = sorted(json.dumps(asdict(record), ensure_ascii=False, sort_keys=True) for record in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
