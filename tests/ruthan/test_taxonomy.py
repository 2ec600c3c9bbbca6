from pathlib import Path

import pytest

from ruthan.errors import TaxonomyError
from ruthan.taxonomy import BENIGN, default_taxonomy, read_taxonomy
from ruthan.text.normalize import normalize


def test_there_are_fifteen_harmful_classes_and_benign() -> None:
    labels = default_taxonomy().labels
    assert len(labels) == 16
    assert labels[-1] == BENIGN
    assert labels[0] == "trafficking"


def test_only_benign_has_kinds_and_is_harmless() -> None:
    for each in default_taxonomy().classes:
        assert bool(each.kinds) == (each.id == BENIGN)
        assert (each.severity == "none") == (each.id == BENIGN)


def test_every_class_says_something_in_well_formed_thai() -> None:
    for each in default_taxonomy().classes:
        assert normalize(each.thai).text == each.thai
        assert any("\u0e00" <= character <= "\u0e7f" for character in each.thai)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("classes: [", "not valid YAML"),
        ("version: 1", "a field is missing"),
        ("version: 1\nclasses: [{id: a}]", "a field is missing"),
    ],
)
def test_a_malformed_taxonomy_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "taxonomy.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(TaxonomyError, match=complaint):
        read_taxonomy(path)


def test_an_unknown_label_names_the_known_ones() -> None:
    with pytest.raises(TaxonomyError, match="known are: trafficking"):
        default_taxonomy()["phishing"]
