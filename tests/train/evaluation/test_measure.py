from typing import Any

import numpy as np
import pytest

from ruthan.policy import Policy
from train.errors import ConfigError
from train.evaluation.judges import Judgement
from train.evaluation.measure import (
    Setting,
    against_classes,
    by_slice,
    class_rows,
    confusion,
    curves,
    overall,
    threshold_rows,
    worst_errors,
)
from train.evaluation.resamples import Resamples

POLICY = Policy("test", review=0.5, block=0.9)
SETTING = Setting(policy=POLICY, prevalence=0.1, reviews_per_day=100)
LABELS = ["loan"] * 4 + ["trafficking"] + ["benign"] * 5
RISKS = np.array([0.95, 0.8, 0.6, 0.2, 0.7, 0.1, 0.1, 0.2, 0.3, 0.75])
PREDICTED = ["loan", "loan", "trafficking", "benign", "trafficking", *["benign"] * 4, "loan"]
WEIGHTS = Resamples(range(10), 200).weights


def judged() -> Judgement:
    probabilities = np.zeros((10, 16))
    probabilities[:, 10], probabilities[:, 15] = RISKS, 1 - RISKS  # loan and benign, by their places in the taxonomy
    return Judgement(RISKS, PREDICTED, probabilities)


def test_all_figures_come_with_an_interval_around_them() -> None:
    figures = overall(judged(), LABELS, WEIGHTS, POLICY)
    assert figures["review"]["harmful"]["value"] == 0.8
    assert figures["review"]["honest"]["value"] == 0.2
    assert figures["block"]["harmful"]["value"] == 0.2
    assert figures["recall"]["0.05"]["value"] == 0.4
    for name in ("auc", "average_precision", "f1_macro", "calibration_error"):
        assert 0 <= figures[name]["low"] <= figures[name]["value"] <= figures[name]["high"] <= 1


def test_one_side_alone_has_shares_and_no_ranking() -> None:
    honest = overall(judged().of(np.arange(5, 10)), LABELS[5:], WEIGHTS[:, 5:], POLICY)
    assert honest["auc"]["value"] is None
    assert honest["recall"]["0.01"]["value"] is None
    assert honest["review"] == {
        "harmful": {"value": None, "low": None, "high": None},
        "honest": {"value": 0.2, "low": 0.0, "high": pytest.approx(0.6, abs=0.21)},
    }
    assert overall(judged().of(np.array([], int)), [], WEIGHTS[:, :0], POLICY)["messages"] == 0


def test_a_single_text_can_be_judged() -> None:
    one = overall(judged().of(np.array([0])), LABELS[:1], Resamples([0]).weights, POLICY)
    assert one["review"]["harmful"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_the_cost_follows_from_prevalence_recall_and_false_alarms() -> None:
    *budgets, policy = threshold_rows(judged(), LABELS, WEIGHTS, SETTING)
    assert [row["budget"] for row in budgets] == [0.001, 0.005, 0.01, 0.05]
    assert policy["recall"]["value"] == 0.8
    assert (policy["honest"], policy["honest_flagged"]) == (5, 1)
    assert policy["trafficking"]["value"] == 1.0
    # Of 1,000 harmful 800 are found; of 9,000 honest ones a fifth goes to review, too.
    assert policy["per_10000"] == {"reviews": 2600.0, "harmful_found": 800.0, "harmful_missed": 200.0, "days": 26.0}
    assert budgets[0]["honest_flagged"] == 0
    assert budgets[0]["trafficking"]["value"] == 0.0  # 0.7, below the honest 0.75


def test_honest_texts_alone_cost_nothing_that_could_be_told() -> None:
    [policy] = threshold_rows(judged().of(np.arange(5, 10)), LABELS[5:], WEIGHTS[:, 5:], SETTING)
    assert (policy["recall"]["value"], policy["per_10000"]) == (None, None)


def test_the_class_rows_count_by_hand() -> None:
    rows = {row["label"]: row for row in class_rows(judged(), LABELS, WEIGHTS)}
    assert list(rows) == ["benign", "loan", "trafficking"]
    assert (rows["loan"]["recall"]["value"], rows["loan"]["precision"]["value"]) == (0.5, pytest.approx(2 / 3))
    assert (rows["trafficking"]["recall"]["value"], rows["trafficking"]["precision"]["value"]) == (1.0, 0.5)
    assert rows["loan"]["flagged"]["value"] == 0.5  # above the riskiest honest text
    assert class_rows(Judgement(RISKS), LABELS, WEIGHTS) == []


def test_a_slice_with_both_sides_has_an_auc_of_its_own() -> None:
    slices = {"channel": ["sms", "post"] * 5}
    found = by_slice({"bundle": judged()}, LABELS, slices, WEIGHTS, POLICY)["channel"]
    assert {value: row["bundle"]["messages"] for value, row in found.items()} == {"post": 5, "sms": 5}
    assert found["sms"]["bundle"]["auc"]["value"] == 1.0
    assert found["post"]["bundle"]["auc"]["value"] == pytest.approx(4.5 / 6)


def test_a_class_is_measured_against_the_others() -> None:
    rows = {row["label"]: row for row in against_classes(judged(), LABELS, WEIGHTS)}
    assert rows["loan"]["auc_against_honest"]["value"] == pytest.approx(16.5 / 20)
    assert rows["loan"]["auc_against_rest"]["value"] == pytest.approx(18.5 / 24)
    assert rows["benign"]["auc_against_honest"]["value"] is None
    assert against_classes(Judgement(RISKS), LABELS, WEIGHTS) == []


def test_confusion_and_curves_add_up() -> None:
    assert confusion(judged(), LABELS) == {
        "labels": ["trafficking", "loan", "benign"],
        "counts": [[1, 0, 0], [1, 2, 1], [0, 1, 4]],
    }
    found: Any = curves(judged(), LABELS, WEIGHTS)
    assert sum(row["messages"] for row in found["reliability"]) == 10
    assert [1.0, 0.625] in found["precision_recall"]
    assert curves(Judgement(RISKS[:5]), LABELS[:5], WEIGHTS[:, :5])["precision_recall"] == []


def test_of_a_blast_only_the_worst_copy_is_shown() -> None:
    texts = [f"ข้อความ {at}" for at in range(10)]
    found = worst_errors(judged(), texts, LABELS, [0, 0, 0, 0, 4, 5, 5, 5, 5, 5])
    assert [row["text"] for row in found["honest"]] == ["ข้อความ 9"]
    assert [(row["text"], row["label"]) for row in found["harmful"]] == [
        ("ข้อความ 3", "loan"),
        ("ข้อความ 4", "trafficking"),
    ]
    assert len(worst_errors(judged(), texts, LABELS, list(range(10)), count=2)["harmful"]) == 2


@pytest.mark.parametrize(("prevalence", "reviews"), [(0.0, 200), (1.0, 200), (float("nan"), 200), (0.5, 0)])
def test_a_setting_that_makes_no_sense_is_refused(prevalence: float, reviews: int) -> None:
    with pytest.raises(ConfigError, match="expected:"):
        Setting(policy=POLICY, prevalence=prevalence, reviews_per_day=reviews)
