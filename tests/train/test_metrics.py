import numpy as np
import pytest

from train.calibrate import fit_temperature
from train.metrics import class_table, expected_calibration_error, risk_metrics, risk_threshold, summary


def test_a_perfect_score_has_full_recall_and_a_useless_one_has_none() -> None:
    truth = np.array([True] * 50 + [False] * 200)
    assert risk_metrics(truth.astype(float), truth).recall == {"0.01": 1.0, "0.05": 1.0}
    assert risk_metrics(truth.astype(float), truth).auc == 1.0
    useless = risk_metrics(np.full(250, 0.5), truth)
    assert (useless.auc, useless.recall["0.05"]) == (0.5, 0.0)


def test_the_threshold_never_flags_more_honest_texts_than_the_budget() -> None:
    random = np.random.default_rng(1)
    for budget in (0.0, 0.01, 0.05, 0.5):
        risks = np.round(random.random(333), 2)  # with many ties
        harmful = random.random(333) < 0.3
        threshold = risk_threshold(risks, harmful, budget)
        assert (risks[~harmful] >= threshold).mean() <= budget


def test_one_sided_data_has_no_auc() -> None:
    assert risk_metrics([0.1, 0.2], [False, False]).auc is None
    only_harmful = risk_metrics([0.1, 0.2], [True, True])
    assert (only_harmful.auc, only_harmful.recall) == (None, {"0.01": 0.0, "0.05": 0.0})


def test_the_class_table_counts_by_hand() -> None:
    rows = class_table(["a", "a", "b"], ["a", "b", "b"], [0.9, 0.1, 0.8], 0.5)
    assert [(row.label, row.messages, row.flagged, row.recall, row.precision) for row in rows] == [
        ("a", 2, 0.5, 0.5, 1.0),
        ("b", 1, 1.0, 1.0, 0.5),
    ]


def test_calibration_error_is_the_gap_between_risk_and_truth() -> None:
    risks = np.full(100, 0.8)
    assert expected_calibration_error(risks, np.arange(100) < 80) == pytest.approx(0)
    assert expected_calibration_error(risks, np.arange(100) < 30) == pytest.approx(0.5)


def test_temperature_makes_overconfident_logits_honest() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 2000)
    said = np.where(random.random(2000) < 0.7, truth, (truth + 1) % 3)  # right 70% of the time
    logits = np.eye(3)[said] * 6  # and far too sure
    temperature = fit_temperature(logits, truth)
    assert temperature > 3
    assert fit_temperature(logits / temperature, truth) == pytest.approx(1, abs=0.05)


def test_the_summary_of_a_part_holds_a_confusion_matrix_that_adds_up() -> None:
    labels = ["loan", "benign"]
    result = summary(["loan", "benign", "loan"], np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]]), labels)
    assert result["confusion"] == [[1, 1], [0, 1]]
    assert result["auc"] == 1.0
