from pathlib import Path

import numpy as np
import pytest

from ruthan.policy import Policy
from train.corpus.challenge import ChallengeRecord
from train.corpus.records import Record
from train.errors import CorpusError
from train.evaluation.challenges import on_challenges, pairs_in_order, robustness
from train.evaluation.judges import Judgement, Panel
from train.evaluation.names import BUNDLE
from train.evaluation.resamples import Resamples

POLICY = Policy("test", review=0.5, block=0.9)


def entry(name: str, label: str, family: str, disguise: str | None = None, pair: str | None = None) -> ChallengeRecord:
    record = Record(name, "x", label, None, "th", "sms", family, pair, "authored", hard=False)
    return ChallengeRecord(record, None, disguise)


def test_sets_are_judged_by_part_and_by_every_judge(panel: Panel, few_challenges: Path) -> None:
    result = on_challenges(few_challenges, panel.judges, POLICY)
    parts = result["parts"]
    disguised = {"evasion, clean", "evasion, disguised by hand", "evasion, disguised by train/disguise.py"}
    assert parts.keys() == {"languages", "lookalike", "must_catch", "must_pass", "trafficking"} | disguised
    assert all(judges.keys() == panel.judges.keys() for judges in parts.values())
    assert 0 <= parts["lookalike"][BUNDLE]["pairs_in_order"]["value"] <= 1
    assert parts["must_pass"][BUNDLE]["review"]["harmful"]["value"] is None
    caught = parts["must_catch"][BUNDLE]["review"]["harmful"]["value"]
    assert len(parts["must_catch"][BUNDLE]["wrong"]) == round((1 - caught) * parts["must_catch"][BUNDLE]["messages"])
    assert result["robustness"].keys() == result["techniques"].keys() == {"evasion"}
    assert "by_hand" in result["techniques"]["evasion"][BUNDLE]


def test_what_disguise_costs_is_counted_by_hand() -> None:
    entries = [
        entry("a", "loan", "a"),
        entry("b", "loan", "b"),
        entry("c", "benign", "c"),
        entry("a-d", "loan", "a", "by_hand", "a"),
        entry("b-d", "loan", "b", "by_hand", "b"),
        entry("c-d", "benign", "c", "by_hand", "c"),
        entry("a-g", "loan", "a", "dots", "a"),
    ]
    judged = Judgement(np.array([0.9, 0.4, 0.1, 0.3, 0.6, 0.5, 0.8]))
    found = robustness(judged, entries, Resamples([0, 1, 2, 0, 1, 2, 0], 100).weights, POLICY)
    assert found["clean"]["auc"]["value"] == 1.0
    by_hand = found["disguised by hand"]
    assert (by_hand["auc"]["value"], by_hand["loss"]["value"]) == (0.5, 50.0)
    assert by_hand["seen"]["value"] == 0.5
    assert by_hand["still_seen"]["value"] == 0.0  # of the two lures only the first was seen clean
    generated = found["disguised by train/disguise.py"]
    assert (generated["auc"]["value"], generated["still_seen"]["value"]) == (None, 1.0)


def test_only_pairs_of_a_harmful_and_an_honest_text_can_be_in_order() -> None:
    entries = [
        entry("a", "loan", "a", pair="b"),
        entry("b", "benign", "b", pair="a"),
        entry("c", "loan", "c", pair="a"),
        entry("d", "loan", "d", pair="e"),
        entry("e", "benign", "e"),
    ]
    found = pairs_in_order(np.array([0.9, 0.1, 0.0, 0.2, 0.2]), entries, Resamples(range(5), 50).weights)
    assert found.value == 0.5  # equal risks are not in order


def test_a_folder_without_sets_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no challenge set"):
        on_challenges(tmp_path, {}, POLICY)
