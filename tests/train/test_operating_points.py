import json
import re
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from ruthan.cli import parser as command_line
from ruthan.policy import Thresholds, read_policy
from ruthan.taxonomy import BENIGN
from train.errors import TrainError
from train.operating_points import (
    LEAST_HARMFUL,
    LEAST_HONEST,
    TRAFFICKING,
    Array,
    Costs,
    OperatingPoints,
    choose_points,
    conformal_threshold,
    cost_threshold,
    expected_cost,
    recall_threshold,
    write_policy,
)

DOCUMENTATION = (Path(__file__).parents[2] / "docs" / "policies.md").read_text(encoding="utf-8")


def drawn(texts: int = 4000, seed: int = 0) -> tuple[Array, list[str]]:
    """Risks that are right as they are, three texts in ten harmful, a third of those trafficking."""
    random = np.random.default_rng(seed)
    risks = random.beta(0.3, 0.7, texts)
    harmful = random.random(texts) < risks
    third = random.random(texts) < 1 / 3
    return risks, [(TRAFFICKING if t else "loan") if h else BENIGN for h, t in zip(harmful, third, strict=True)]


def harmful_in(labels: list[str]) -> Array:
    return np.array([label != BENIGN for label in labels])


def test_no_budget_is_exceeded_and_one_step_lower_exceeds_it() -> None:
    risks, labels = drawn()
    honest = np.round(risks[~harmful_in(labels)], 6)
    points = choose_points(risks, labels)
    assert list(points.budgets) == [0.001, 0.005, 0.01, 0.05]
    for budget, point in points.budgets.items():
        assert point is not None
        assert point.honest == (honest >= point.risk).mean() <= budget
        assert (honest >= round(point.risk - 1e-6, 6)).mean() > budget


def test_the_trafficking_point_reaches_its_recall_and_no_higher_one_does() -> None:
    risks, labels = drawn()
    point = choose_points(risks, labels, recall=0.9).recall_point
    assert point is not None
    assert point.trafficking is not None
    assert point.trafficking >= 0.9
    mine = np.round(risks[[label == TRAFFICKING for label in labels]], 6)
    assert (mine > point.risk).mean() < 0.9


@pytest.mark.parametrize(("share", "expected"), [(0.95, 2), (1.0, 1), (0.5, 11), (0.001, 20)])
def test_recall_is_counted_exactly(share: float, expected: float) -> None:
    assert recall_threshold(np.arange(1, 21).astype(float), share) == expected


def test_without_trafficking_texts_there_is_no_such_point() -> None:
    points = choose_points([0.1, 0.9], [BENIGN, "loan"])
    assert (points.recall_point, points.review.trafficking) == (None, None)


@pytest.mark.parametrize(("honest", "flagged"), [(999, 0), (1998, 0), (1999, 1), (2999, 2), (9999, 9)])
def test_the_block_threshold_pays_for_the_texts_being_finite(honest: int, flagged: int) -> None:
    risks = np.round(np.linspace(0, 0.99, honest), 6)
    threshold, promised = conformal_threshold(risks, np.zeros(honest, bool), 0.001)
    assert promised
    assert (risks >= threshold).sum() == flagged
    assert (flagged + 1) / (honest + 1) <= 0.001
    assert (flagged + 2) / (honest + 1) > 0.001


def test_with_too_few_honest_texts_nothing_is_promised_and_none_of_them_is_blocked() -> None:
    risks = np.round(np.linspace(0, 0.8, 998), 6)
    assert conformal_threshold(risks, np.zeros(998, bool), 0.001) == (0.800001, False)


def test_an_honest_text_of_risk_1_leaves_nothing_to_promise() -> None:
    risks = np.append(np.linspace(0, 0.8, 1500), 1.0)
    assert conformal_threshold(risks, np.zeros(1501, bool), 0.001) == (1.0, False)
    assert conformal_threshold(risks[:3], np.zeros(3, bool), 0.001)[1] is False


def test_honest_messages_yet_to_come_are_blocked_no_more_often_than_promised() -> None:
    random = np.random.default_rng(0)
    shares = []
    for _ in range(2000):  # 99 texts each: one may not be flagged, and 1 in 100 of the next ones is
        threshold, promised = conformal_threshold(random.random(99).round(6), np.zeros(99, bool), 0.01)
        assert promised
        shares.append(1 - threshold)  # of uniform risks, the share at or above it
    assert np.mean(shares) == pytest.approx(0.01, abs=0.001)


def test_no_review_threshold_costs_less() -> None:
    risks, labels = drawn(300)
    risks, harmful = risks.round(2), harmful_in(labels)
    costs = Costs(missed=8, false_alarm=3, review=1)
    found = cost_threshold(risks, harmful, 0.9, costs, 0.1)
    by_hand = {
        t: expected_cost(risks, harmful, Thresholds(t, 0.9), costs, 0.1) for t in np.linspace(0, 0.9, 91).round(2)
    }
    assert by_hand[found] == pytest.approx(min(by_hand.values()))
    assert by_hand[0.0] > by_hand[found] < by_hand[0.9]


def test_of_calibrated_risks_a_look_pays_from_the_ratio_of_the_costs_on() -> None:
    risks, labels = drawn(60_000)
    for missed in (5, 20):
        assert choose_points(risks, labels, costs=Costs(missed=missed)).review.risk == pytest.approx(
            1 / missed, abs=0.02
        )


def test_the_expected_cost_is_counted_by_hand() -> None:
    risks, harmful = np.array([0.1, 0.5, 0.9, 0.1, 0.5, 0.9, 0.1, 0.1]), np.array([True] * 3 + [False] * 5)
    cost = expected_cost(risks, harmful, Thresholds(0.5, 0.9), Costs(missed=30, false_alarm=10, review=1), 0.3)
    assert cost == pytest.approx(0.3 * (30 + 1) / 3 + 0.7 * (1 + 10) / 5)


def test_dear_reviews_leave_no_band_and_free_misses_none_either() -> None:
    risks, labels = drawn()
    points = choose_points(risks, labels, costs=Costs(missed=1, review=1000))
    assert points.review.risk == points.block.risk
    assert choose_points(risks, labels, costs=Costs(missed=1e6)).review.harmful == 1


def test_a_message_without_text_is_never_sent_to_a_person() -> None:
    assert (
        choose_points([0.0, 0.0, 0.7, 0.8], [BENIGN, "loan", BENIGN, "loan"], costs=Costs(missed=1e6)).review.risk > 0
    )


def test_only_ratios_of_costs_matter() -> None:
    risks, labels = drawn()
    dear = choose_points(risks, labels, costs=Costs(missed=2000, false_alarm=1000, review=100))
    assert dear.review == choose_points(risks, labels).review


def test_rare_harm_is_looked_for_less() -> None:
    risks, labels = drawn()
    rare, common = (choose_points(risks, labels, harmful_share=share).review.risk for share in (0.01, 0.3))
    assert rare > common


def by_channel(**risks_of: tuple[Array, Array]) -> tuple[Array, list[str], list[str]]:
    """Risks, labels and channels from the honest and the harmful risks of each channel."""
    risks, labels, channels = [], [], []
    for channel, (honest, harmful) in risks_of.items():
        risks += [*honest, *harmful]
        labels += [BENIGN] * len(honest) + ["loan"] * len(harmful)
        channels += [channel] * (len(honest) + len(harmful))
    return np.array(risks), labels, channels


LOW, HIGH = np.linspace(0, 0.5, 2000), np.linspace(0.4, 1, 500)


def test_a_channel_like_the_others_gets_no_thresholds_of_its_own() -> None:
    assert choose_points(*by_channel(sms=(LOW, HIGH), chat=(LOW, HIGH), post=(LOW[::3], HIGH))).channels == {}


def test_a_channel_that_differs_gets_its_own() -> None:
    points = choose_points(*by_channel(sms=(LOW, HIGH), chat=(LOW / 4, HIGH / 4)))
    own = points.channels["chat"].thresholds
    assert own.block < 0.13 < points.block.risk
    assert own.review <= own.block


@pytest.mark.parametrize(("honest", "named"), [(LEAST_HONEST - 1, False), (LEAST_HONEST, True)])
def test_a_channel_with_too_few_honest_texts_gets_none(honest: int, named: bool) -> None:
    few = np.linspace(0.3, 0.45, honest), np.linspace(0.46, 1, 200)
    assert ("chat" in choose_points(*by_channel(sms=(LOW, HIGH), chat=few)).channels) is named


def test_a_channel_blocks_by_itself_only_where_it_can_keep_the_promise() -> None:
    few = np.linspace(0.3, 0.45, 998), np.linspace(0.46, 1, 200)
    points = choose_points(*by_channel(sms=(LOW, HIGH), chat=few))
    assert points.channels["chat"].thresholds == Thresholds(0.46, points.block.risk)


@pytest.mark.parametrize("harmful", [0, LEAST_HARMFUL - 1])
def test_without_harmful_texts_enough_a_channel_keeps_the_common_review(harmful: int) -> None:
    chat = LOW / 4, np.linspace(0.1, 0.2, harmful)
    points = choose_points(*by_channel(sms=(LOW, HIGH), chat=chat))
    assert points.channels["chat"].thresholds.review == min(
        points.review.risk, points.channels["chat"].thresholds.block
    )


def test_channels_are_told_apart_however_they_are_written_and_unknown_ones_are_none() -> None:
    risks, labels, channels = by_channel(sms=(LOW, HIGH), chat=(LOW / 4, HIGH / 4))
    mixed = [name.upper() if at % 2 else f" {name}" for at, name in enumerate(channels)]
    assert choose_points(risks, labels, mixed) == choose_points(risks, labels, channels)
    assert choose_points(risks, labels, [None] * len(risks)).channels == {}


@pytest.fixture
def points() -> OperatingPoints:
    return choose_points(*by_channel(sms=(LOW, HIGH), chat=(LOW / 4, HIGH / 4)), harmful_share=0.05)


def test_the_written_policy_is_read_back_with_the_chosen_thresholds(tmp_path: Path, points: OperatingPoints) -> None:
    path = tmp_path / "telco.yaml"
    write_policy(path, points, "โทร: 2026 # ก")
    policy = read_policy(path)
    assert (policy.name, policy.review, policy.block) == ("โทร: 2026 # ก", points.review.risk, points.block.risk)
    assert policy.needs_help == "review"
    assert "chat" in policy.channels
    assert policy.channels == {channel: own.thresholds for channel, own in points.channels.items()}
    assert [each.name for each in tmp_path.iterdir()] == ["telco.yaml"]


def test_the_comments_tell_how_each_number_came_about(tmp_path: Path, points: OperatingPoints) -> None:
    path = tmp_path / "p.yaml"
    write_policy(path, points, "x")
    comments = " ".join(line.strip(" #") for line in path.read_text(encoding="utf-8").splitlines() if "#" in line)
    for part in (
        "5,000 calibration texts: 4,000 honest and 1,000 harmful",
        "let through costs 20 reviews, an honest one blocked 10, and 5% of the messages are harmful",
        f"10,000 messages then cost {points.cost * 10_000:,.0f} reviews",
        "at most 0.1% of honest messages like these are expected at or above it (conformal risk control on 4,000",
        "at most 0.5% of the honest:",
        "2,000 honest and 500 harmful texts: block differs from",
    ):
        assert part in comments
    assert max(map(len, path.read_text(encoding="utf-8").splitlines())) <= 120


def test_a_promise_that_cannot_be_given_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    write_policy(path, choose_points(*drawn(200)), "x")
    text = " ".join(path.read_text(encoding="utf-8").replace("#", "").split())
    assert "is not promised:" in text
    assert "honest texts are too few, 999 are needed" in text
    write_policy(path, choose_points([0.1, 1.0, 1.0], [BENIGN, BENIGN, "loan"], alpha=0.4), "x")
    text = " ".join(path.read_text(encoding="utf-8").replace("#", "").split())
    assert "the highest risk there is. That at most 40% of honest messages lie there is not promised: too many" in text
    assert "at most 5% of the honest: none" in text
    assert read_policy(path).block == 1


def test_the_same_texts_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_policy(tmp_path / name, choose_points(*by_channel(sms=(LOW, HIGH), chat=(LOW / 4, HIGH / 4))), "x")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("channel", ["a: b", "#", "yes", "1", "ช่องทาง", 'q"uo', "? x", "x" * 300, "- y"])
def test_any_name_of_a_channel_can_be_written(tmp_path: Path, points: OperatingPoints, channel: str) -> None:
    own = points.channels["chat"]
    write_policy(tmp_path / "p", replace(points, channels={channel: own}), "x")
    assert read_policy(tmp_path / "p").channels == {channel: own.thresholds}


def test_the_smallest_risk_is_written_as_a_number(tmp_path: Path) -> None:
    points = choose_points([0.0, 0.000001], [BENIGN, "loan"])
    write_policy(tmp_path / "p", points, "x")
    assert yaml.safe_load((tmp_path / "p").read_text(encoding="utf-8"))["block"] == 0.000001


def test_a_policy_that_cannot_be_written_leaves_nothing_and_spoils_nothing(
    tmp_path: Path, points: OperatingPoints
) -> None:
    with pytest.raises(TrainError, match="cannot write the policy .*nowhere.* choose another path"):
        write_policy(tmp_path / "nowhere" / "p.yaml", points, "x")
    path = tmp_path / "p.yaml"
    path.write_text("before", encoding="utf-8")
    with pytest.raises(TrainError, match="cannot write"):
        write_policy(path / "p.yaml", points, "x")
    with pytest.raises(TrainError, match="is above"):
        write_policy(path, replace(points, review=replace(points.review, risk=0.99)), "x")
    assert path.read_text(encoding="utf-8") == "before"
    assert [each.name for each in tmp_path.iterdir()] == ["p.yaml"]


def test_the_documentation_is_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = dict(re.findall(r"^```(\w+)\n(.*?)^```$", DOCUMENTATION, re.MULTILINE | re.DOTALL))
    (tmp_path / "telco.yaml").write_text(blocks["yaml"], encoding="utf-8")
    policy = read_policy(tmp_path / "telco.yaml")
    assert policy.channels == {"sms": Thresholds(0.3, 0.97), "post": Thresholds(0.6, 0.95)}
    for line in blocks["console"].splitlines():
        assert command_line().parse_args(shlex.split(line)[2:]).policy == Path("telco.yaml")
    monkeypatch.chdir(tmp_path)
    rows = [{"text": "กู้ได้ไม่เช็กบูโร โอนค่าค้ำก่อน", "label": "loan"}, {"text": "ถึงบ้านยังลูก", "label": BENIGN}]
    Path("labelled.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    exec(compile(blocks["python"], "policies.md", "exec"), {})
    written = Path("telco.yaml").read_text(encoding="utf-8")
    assert "name: telco" in written
    assert "of these 0 of trafficking" in written


def test_the_example_of_the_documentation_adds_up() -> None:
    harmful = [0.1] * 130 + [0.5] * 240 + [0.93] * 630
    honest = [0.1] * 986 + [0.5] * 12 + [0.93] * 2
    risks, truth = np.array(harmful + honest), np.arange(2000) < 1000
    for limits in (Thresholds(0.5, 0.93), Thresholds(0.5, 0.5), Thresholds(0.5, 1), Thresholds(1, 1), Thresholds(0, 1)):
        cost = f"{expected_cost(risks, truth, limits, Costs(), 0.05) * 10_000:,.0f}"
        assert f"{cost} |\n" in DOCUMENTATION


@pytest.mark.parametrize(
    ("risks", "labels", "complaint"),
    [
        ([], [], "no honest text .* add some"),
        ([0.5], [BENIGN], "no harmful text .* add some"),
        ([0.5, 0.6], ["loan", "prize"], "no honest text .* add some"),
        ([0.5], [BENIGN, "loan"], "1 risks for 2 labels"),
        ([0.5, 1.1], [BENIGN, "loan"], "not between 0 and 1"),
        ([0.5, float("nan")], [BENIGN, "loan"], "not between 0 and 1"),
    ],
)
def test_texts_that_say_nothing_are_refused(risks: list[float], labels: list[str], complaint: str) -> None:
    with pytest.raises(TrainError, match=complaint):
        choose_points(risks, labels)


def test_settings_out_of_range_are_refused() -> None:
    texts = ([0.1, 0.9], [BENIGN, "loan"])
    for name in ("alpha", "harmful_share"):
        for value in (0, 1, -0.1, float("nan")):
            with pytest.raises(TrainError, match=f"{name} is"):
                choose_points(*texts, **{name: value})  # type: ignore[arg-type]
    with pytest.raises(TrainError, match="recall is"):
        choose_points(*texts, recall=0)
    with pytest.raises(TrainError, match="1 channels for 2 texts"):
        choose_points(*texts, ["sms"])
    for value in (0, -1, float("inf"), float("nan")):
        with pytest.raises(TrainError, match="the cost missed"):
            Costs(missed=value)
