"""On the hand-labelled sets of data/evidence: floors, not the figures, which the benchmark prints."""

import json
from pathlib import Path

import pytest

from benchmarks.evidence_quality import INDICATORS, SIGNALS, overall, score_indicators, score_signals


def test_identifiers_of_every_type_are_found_and_numbers_left_alone() -> None:
    scores = score_indicators()
    assert len(scores) == 15
    for name, score in scores.items():
        assert score.precision >= 0.95, name
        assert score.recall >= 0.88, name
        assert score.value >= 0.95 * score.right, name


def test_signs_are_found_in_earnest_and_known_as_quoted() -> None:
    scores = score_signals()
    total = overall(scores)
    assert total.precision >= 0.85
    assert total.recall >= 0.78
    assert total.value >= 0.93 * total.right  # quoted or in earnest, rightly
    assert scores["needs_help"].recall >= 0.88
    assert scores["needs_help"].precision >= 0.84


@pytest.mark.parametrize(("path", "least"), [(INDICATORS, 500), (SIGNALS, 550)])
def test_the_sets_are_well_formed(path: Path, least: int) -> None:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len({row["id"] for row in rows}) == len(rows) >= least
    for row in rows:
        assert row.keys() == {"id", "marked"}
        assert row["marked"].count("[[") == row["marked"].count("]]")
