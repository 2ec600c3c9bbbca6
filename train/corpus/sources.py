"""Texts from elsewhere beside the corpus: real messages under their own licences, which stay where they are.

A source is a JSON lines file, or a data set on the Hugging Face hub, whose rows have a text and, at best, the fields of
a corpus record. What a row lacks, the source's defaults supply.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Any

from ruthan.taxonomy import BENIGN, default_taxonomy
from train.corpus.identifiers import revive_numbers
from train.corpus.near_duplicates import text_digest
from train.corpus.records import CHANNELS, LANGUAGES, UNLABELLED, Record, read_lines
from train.corpus.splits import read_digests
from train.errors import ConfigError, CorpusError
from train.slots import FILLERS, SLOT


@dataclass(frozen=True, kw_only=True)
class Source:
    """One source, and how its rows become records.

    :param path: a JSON lines file, or the id of a data set on the hub, `owner/name`.
    :param weight: how often each row is seen in a pass over the corpus; 0.1 takes another tenth of the rows each time.
    :param label: the label of rows that have none; null leaves such rows out.
    :param kinds: a row's own `kind` to our kind of benign; rows of any other kind have no label. Empty: all are taken,
        as kind `other` unless theirs is one of ours.
    :param unlabelled: whether rows without a label are read too, for a teacher to label.
    :param held_out: a list of digests (`data/splits/`) of texts that are kept for judging and never trained on.
    :param calibration: a list of digests of texts that are kept for calibration and thresholds.
    :param text_field: the field of the text.
    :param lang: language of rows that name none.
    :param channel: channel of rows that name none.
    :param split: split of a data set on the hub.
    :param revision: its commit, so that the same texts come again.
    :param attribution: who is to be named, and the licence; goes into the bundle.
    """

    path: str
    weight: float = 1.0
    label: str | None = None
    kinds: Mapping[str, str] | None = None
    unlabelled: bool = False
    held_out: str | None = None
    calibration: str | None = None
    text_field: str = "text"
    lang: str = "th"
    channel: str = "sms"
    split: str = "train"
    revision: str | None = None
    attribution: str | None = None

    def __post_init__(self) -> None:
        taxonomy = default_taxonomy()
        self._check("path", bool(self.path.strip()), "a file or a data set id")
        self._check("weight", 0 < self.weight <= 10, "above 0, at most 10")
        self._check("label", self.label is None or self.label in taxonomy.labels, ", ".join(taxonomy.labels))
        known = all(kind in taxonomy.kinds for kind in (self.kinds or {}).values())
        self._check("kinds", known, f"their kind: one of {', '.join(taxonomy.kinds)}")
        self._check("lang", self.lang in LANGUAGES, ", ".join(LANGUAGES))
        self._check("channel", self.channel in CHANNELS, ", ".join(CHANNELS))
        for name in ("text_field", "split"):
            self._check(name, bool(getattr(self, name)), "a name")

    def _check(self, field: str, fits: bool, expected: str) -> None:
        if not fits:
            raise ConfigError(f"source {self.path}: {field} is {getattr(self, field)!r}; expected: {expected}")

    @classmethod
    def from_dict(cls, values: Any) -> "Source":
        """A source as a configuration file writes it.

        :raises ConfigError: an unknown field, or a value of the wrong type or out of range.
        """
        known = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or not isinstance(values.get("path"), str):
            raise ConfigError(f"a source is a mapping with at least a path, not {values!r}")
        if unknown := sorted(set(map(str, values)) - set(known)):
            raise ConfigError(f"source {values['path']}: unknown field {', '.join(unknown)}; known: {', '.join(known)}")
        for name, value in values.items():
            fits = {
                "weight": isinstance(value, int | float) and not isinstance(value, bool),
                "kinds": value is None or isinstance(value, Mapping),
                "unlabelled": isinstance(value, bool),
            }
            if not fits.get(name, value is None or isinstance(value, str)):
                raise ConfigError(f"source {values['path']}: {name} is {value!r}")
        return cls(**values)


def read_source(source: Source, seed: int, held_out: frozenset[str] = frozenset()) -> list[Record]:
    """The records of a source, without what is held out, by its own list or in `held_out`, and without exact repeats.

    An id is the name of the source, a colon and the digest of the text as it stood there. Numbers that a publisher
    masked by a leading 000 get other invented digits, drawn from `seed` and the text.

    :raises CorpusError: the source cannot be read, a row has no text or an unknown label, or nothing is left.
    """
    taxonomy = default_taxonomy()
    held_out |= read_digests(Path(source.held_out)) if source.held_out else frozenset()
    records: dict[str, Record] = {}
    for place, row in _rows(source):
        text = row.get(source.text_field)
        if not isinstance(text, str):
            raise CorpusError(f"{place}: {source.text_field} must be a text")
        text = text.encode("utf-8", "replace").decode().replace("\x00", " ")  # half an emoji becomes a question mark
        label = row.get("label")
        if label is not None and not isinstance(label, str):
            raise CorpusError(f"{place}: label is {label!r}; the name of a class, or null, is needed")
        label = source.label if label is None else label
        kind = row.get("kind")
        if source.kinds and label == BENIGN:
            kind = source.kinds.get(kind) if isinstance(kind, str) else None
            label = None if kind is None else label
        if label is None:
            label = UNLABELLED
        if (label == UNLABELLED and not source.unlabelled) or not text.strip():
            continue
        if label not in {*taxonomy.labels, UNLABELLED}:
            raise CorpusError(f"{place}: unknown label {label!r}; known are: {', '.join(taxonomy.labels)}")
        digest = text_digest(text)
        earlier = records.get(digest)  # the first of equal texts counts, but a label counts more than none
        if digest in held_out or (earlier is not None and (label == UNLABELLED or earlier.label != UNLABELLED)):
            continue
        name = f"{Path(source.path).stem}:{digest}"
        records[digest] = Record(
            id=name,
            text=revive_numbers(SLOT.sub(_known_slot, text), Random(f"{seed}:{digest}")),
            label=label,
            kind=(kind if kind in taxonomy.kinds else "other") if label == BENIGN else None,
            lang=row["lang"] if row.get("lang") in LANGUAGES else source.lang,
            channel=row["channel"] if row.get("channel") in CHANNELS else source.channel,
            family=name,
            pair=None,
            origin=Path(source.path).stem,
            hard=False,
        )
    if not records:
        raise CorpusError(f"source {source.path}: no row to train on; see label, kinds and held_out of the source")
    return list(records.values())


def _known_slot(match: re.Match[str]) -> str:
    """A slot as it is; what only looks like one, such as a template's `{name}`, in parentheses."""
    return match[0] if match[1] in FILLERS else f"({match[0][1:-1]})"


def _rows(source: Source) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Place and content of each row, from a file or from the hub."""
    if Path(source.path).is_file():
        yield from read_lines([Path(source.path)])
        return
    if source.path.endswith(".jsonl") or source.path.count("/") != 1 or source.path.startswith((".", "/")):
        raise CorpusError(
            f"no source at {source.path}; give a JSON lines file or the id of a data set on the hub, or take it out of "
            "the configuration"
        )
    import datasets  # asks the hub: only because the configuration names it

    try:
        rows = datasets.load_dataset(source.path, split=source.split, revision=source.revision)
    except Exception as error:  # the hub's client raises many kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CorpusError(f"cannot load the data set {source.path} from the hub: {reason}") from error
    for number, row in enumerate(rows):
        yield f"{source.path}:{number}", row


def draw(records: Sequence[Record], weight: float, random: Random) -> list[Record]:
    """What one pass sees of a source: each record `weight` times, a fraction by lot."""
    whole, fraction = divmod(weight, 1)
    return [*records] * int(whole) + random.sample(list(records), round(fraction * len(records)))
