import json
from pathlib import Path

import pytest

from ruthan import Message, Scanner
from ruthan.cli import main
from ruthan.errors import MessageError, PolicyError
from ruthan.policy import Thresholds, default_policy, read_policy

BASE = "name: x\nreview: 0.5\nblock: 0.9\n"


def written(folder: Path, content: str) -> Path:
    path = folder / "policy.yaml"
    path.write_text(content, encoding="utf-8")
    return path


def test_thresholds_decide_the_action() -> None:
    policy = read_policy(default_policy())
    assert policy.action(0) == "allow"
    assert policy.action(policy.review) == "review"
    assert policy.action(policy.block) == "block"
    assert policy.action(1) == "block"


def test_who_may_need_help_goes_to_a_person_whatever_the_risk(tmp_path: Path) -> None:
    policy = read_policy(default_policy())
    assert {policy.action(risk, needs_help=True) for risk in (0, 0.5, 1)} == {"review"}
    assert read_policy(written(tmp_path, BASE)).needs_help == "review"  # as policies were before


def test_a_channel_has_its_own_thresholds_and_the_rest_keeps_the_common_ones(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path, BASE + "channels: {sms: {review: 0.3, block: 0.7}, แชท: {block: 0.95}}"))
    assert policy.channels == {"sms": Thresholds(0.3, 0.7), "แชท": Thresholds(0.5, 0.95)}
    assert [policy.action(risk, channel="sms") for risk in (0.29, 0.3, 0.7)] == ["allow", "review", "block"]
    assert policy.action(0.92, channel="แชท") == "review"
    for other in (None, "", "post", "smss"):
        assert [policy.action(risk, channel=other) for risk in (0.3, 0.5, 0.9)] == ["allow", "review", "block"]


def test_a_channel_is_known_however_a_dump_writes_it(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path, BASE + "channels: {sms: {review: 0.3}}"))
    assert {policy.action(0.4, channel=name) for name in ("sms", "SMS", " Sms\n")} == {"review"}


def test_who_may_need_help_goes_to_a_person_on_every_channel(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path, BASE + "channels: {sms: {review: 0.1, block: 0.2}}"))
    assert {policy.action(risk, needs_help=True, channel="sms") for risk in (0, 0.15, 1)} == {"review"}


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
        (BASE + "channels: sms", "channels must hold"),
        (BASE + "channels:", "channels must hold"),
        (BASE + "channels: {sms: 0.3}", "channels.sms must hold review, block or both"),
        (BASE + "channels: {sms: {}}", "channels.sms must hold review, block or both"),
        (BASE + "channels: {sms: {reviw: 0.3}}", "channels.sms must hold review, block or both"),
        (BASE + "channels: {sms: {review: 2}}", "channels.sms.review is 2; a risk from 0 to 1"),
        (BASE + "channels: {sms: {block: .nan}}", "channels.sms.block is nan; a risk from 0 to 1"),
        (BASE + "channels: {sms: {review: 0.95}}", r"channels.sms.review \(0.95\) is above channels.sms.block \(0.9\)"),
        (BASE + "channels: {SMS: {review: 0.3}}", "'SMS' is no channel; write a name in lower case"),
        (BASE + "channels: {' sms': {review: 0.3}}", "' sms' is no channel"),
        (BASE + "channels: {on: {review: 0.3}}", "True is no channel"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    with pytest.raises(PolicyError, match=complaint):
        read_policy(written(tmp_path, content))


def test_a_missing_policy_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="nowhere.yaml"):
        read_policy(tmp_path / "nowhere.yaml")


def test_the_scanner_hands_over_the_channel_of_each_message(tmp_path: Path) -> None:
    policy = written(
        tmp_path, "name: x\nreview: 1\nblock: 1\nchannels: {sms: {review: 0, block: 0}, post: {review: 0}}"
    )
    scanner = Scanner(policy=policy)
    text = "ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ"
    messages = [text, *(Message(text, channel=name) for name in ("SMS", "post", "call", None))]
    assert [verdict.action for verdict in scanner.scan_many(messages)] == [
        "allow", "block", "review", "allow", "allow",
    ]  # fmt: skip
    with pytest.raises(MessageError, match="the channel of a message is its name or None, not int"):
        scanner.scan(Message(text, channel=1))  # type: ignore[arg-type]


def test_a_channel_of_the_policy_that_no_message_has_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = written(tmp_path, "name: x\nreview: 1\nblock: 1\nchannels: {sms: {block: 1}, psot: {review: 0}}")
    dump, out = tmp_path / "dump.csv", tmp_path / "out.jsonl"
    dump.write_text("text,channel\nถึงบ้านยังลูก,SMS\nถึงบ้านยังแม่,post\n", encoding="utf-8")
    assert main(["scan", str(dump), "--policy", str(policy), "--out", str(out)]) == 0
    assert "policy x: no message had the channel psot" in capsys.readouterr().err
    assert {json.loads(line)["action"] for line in out.read_text(encoding="utf-8").splitlines()} == {"allow"}
    policy.write_text(policy.read_text(encoding="utf-8").replace("psot", "post"), encoding="utf-8")
    assert main(["scan", str(dump), "--policy", str(policy), "--out", str(out)]) == 0
    assert "no message had" not in capsys.readouterr().err
    assert [json.loads(line)["action"] for line in out.read_text(encoding="utf-8").splitlines()] == ["allow", "review"]


@pytest.mark.parametrize("path", sorted(default_policy().parent.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_policy_that_ships_is_one_and_named_after_its_file(path: Path) -> None:
    assert read_policy(path).name == path.stem
