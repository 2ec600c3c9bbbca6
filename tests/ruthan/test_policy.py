from pathlib import Path

import pytest

from ruthan.errors import PolicyError
from ruthan.policy import default_policy, read_policy


def test_thresholds_decide_the_action() -> None:
    policy = read_policy(default_policy())
    assert policy.action(0) == "allow"
    assert policy.action(policy.review) == "review"
    assert policy.action(policy.block) == "block"
    assert policy.action(1) == "block"


def test_who_may_need_help_goes_to_a_person_whatever_the_risk(tmp_path: Path) -> None:
    policy = read_policy(default_policy())
    assert {policy.action(risk, needs_help=True) for risk in (0, 0.5, 1)} == {"review"}
    path = tmp_path / "policy.yaml"
    path.write_text("name: x\nreview: 0.1\nblock: 0.2", encoding="utf-8")  # as policies were before
    assert read_policy(path).needs_help == "review"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("name: x\nreview: 0.9\nblock: 0.1", "is above block"),
        ("name: x\nreview: -1\nblock: 0.1", "from 0 to 1"),
        ("name: x\nreview: high\nblock: 0.1", "from 0 to 1"),
        ("name: x\nreview: 0.1", "must hold the fields"),
        ("- x", "must hold the fields"),
        ("name: x\nreview: 0.1\nblock: 0.2\nhelp: review", "must hold the fields"),
        ("name: x\nreview: 0.1\nblock: 0.2\nneeds_help: ignore", "one of allow, review, block"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(PolicyError, match=complaint):
        read_policy(path)


def test_a_missing_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="nowhere.yaml"):
        read_policy(tmp_path / "nowhere.yaml")
