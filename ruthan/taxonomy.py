"""The classes of messages, read from `data/taxonomy.yaml`, where each label stands once with its meaning."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ruthan.errors import TaxonomyError
from ruthan.resources import shipped

BENIGN = "benign"
SEVERITIES = ("none", "low", "medium", "high", "critical")


@dataclass(frozen=True)
class Kind:
    """A kind of benign message."""

    id: str
    english: str
    thai: str
    definition: str


@dataclass(frozen=True)
class MessageClass:
    """One class: `severity` is one of `SEVERITIES`; only `benign` has `kinds`."""

    id: str
    english: str
    thai: str
    definition: str
    severity: str
    kinds: tuple[Kind, ...] = ()


@dataclass(frozen=True)
class Taxonomy:
    """All classes, in order of precedence: when two fit a message, the first is its label."""

    version: int
    classes: tuple[MessageClass, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The ids of all classes, in order of precedence."""
        return tuple(each.id for each in self.classes)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The ids of the kinds of benign messages."""
        return tuple(kind.id for kind in self[BENIGN].kinds)

    def __getitem__(self, label: str) -> MessageClass:
        for each in self.classes:
            if each.id == label:
                return each
        raise TaxonomyError(f"unknown label {label!r}; known are: {', '.join(self.labels)}")


def read_taxonomy(path: Path) -> Taxonomy:
    """Read and check a taxonomy file.

    :raises TaxonomyError: the file is missing, is no YAML, lacks a field, or repeats an id.
    """
    try:
        content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TaxonomyError(f"cannot read {path}: {error.strerror}; reinstall ruthan") from error
    except yaml.YAMLError as error:
        raise TaxonomyError(f"{path} is not valid YAML: {error}") from error
    try:
        classes = tuple(
            MessageClass(**{**entry, "kinds": tuple(Kind(**kind) for kind in entry.get("kinds", ()))})
            for entry in content["classes"]
        )
        taxonomy = Taxonomy(version=content["version"], classes=classes)
    except (TypeError, KeyError) as error:
        raise TaxonomyError(f"{path}: a field is missing or unknown: {error}") from error
    if len(set(taxonomy.labels)) != len(classes):
        raise TaxonomyError(f"{path}: a class id stands twice")
    for each in classes:
        if each.severity not in SEVERITIES:
            raise TaxonomyError(f"{path}: {each.id}: severity {each.severity!r} is not one of {', '.join(SEVERITIES)}")
    if BENIGN not in taxonomy.labels:
        raise TaxonomyError(f"{path}: the class {BENIGN!r} is missing")
    return taxonomy


@cache
def default_taxonomy() -> Taxonomy:
    """The taxonomy that ships with ruthan."""
    return read_taxonomy(shipped("data", "taxonomy.yaml"))
