from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ruthan.model.bundle import default_bundle, read_bundle
from ruthan.policy import Policy
from train import gates as module
from train.corpus.challenge import ChallengeRecord
from train.corpus.records import Record
from train.errors import CorpusError
from train.gates import CLASS_SETS, Gate, challenge_figures, gates, read_gate_texts, speeds


def entry(name: str, text: str, label: str, disguise: str | None = None) -> ChallengeRecord:
    record = Record(name, text, label, None, "th", "sms", name, None, "authored", False)
    return ChallengeRecord(record, None, disguise)


class Judge:
    """Stands in for a scanner; a text is its own risk."""

    def __init__(self, shift: float = 0) -> None:
        self.policy = Policy("test", 0.5, 0.9)
        self.shift = shift

    def scan_many(self, texts: Iterator[str]) -> Iterator[SimpleNamespace]:
        for text in texts:
            risk = float(text) + self.shift
            yield SimpleNamespace(risk=risk, label="loan", action=self.policy.action(risk))


def challenges(loans: int = 12) -> dict[str, list[ChallengeRecord]]:
    sets = {name: [] for name in CLASS_SETS}
    sets["lookalike"] = [entry(f"l{at}", "0.6" if at else "0.4", "loan") for at in range(loans)]
    sets["evasion"] = [entry("e1", "0.1", "loan", "by_hand"), entry("e2", "0.1", "benign")]
    sets["languages"] = [entry(f"b{at}", "0.2", "benign") for at in range(9)]
    sets["must_catch"] = [entry("c1", "0.95", "loan"), entry("c2", "0.3", "loan")]
    sets["must_pass"] = [entry("p1", "0.95", "benign"), entry("p2", "0.6", "benign")]
    return sets


def test_challenge_texts_on_the_wrong_side_are_named_and_disguised_ones_left_out() -> None:
    figures = challenge_figures(Judge(), challenges())
    assert (figures.allowed, figures.missed) == (("c2",), ("c2",))
    assert (figures.blocked, figures.raised) == (("p1",), ("p1", "p2"))
    assert figures.recall == {"loan": 11 / 12, "benign": 1.0}


def test_a_class_of_few_texts_is_not_judged() -> None:
    assert challenge_figures(Judge(), challenges(loans=9)).recall == {"benign": 1.0}


def judged(monkeypatch: pytest.MonkeyPatch, mine: Judge, other: Judge, margin: float) -> dict[str, Gate]:
    current = read_bundle(default_bundle())
    waiting = iter([mine, other])
    monkeypatch.setattr(module, "Scanner", lambda _: next(waiting))
    monkeypatch.setattr(module, "speeds", lambda *_: [89.0, 100.0])
    return {gate.name: gate for gate in gates(current, current, challenges(), margin)}


def test_a_class_may_lose_no_more_than_the_margin(monkeypatch: pytest.MonkeyPatch) -> None:
    strict = judged(monkeypatch, Judge(), Judge(0.1), 0.02)
    assert not strict["recall of loan"].passed
    assert strict["recall of loan"].bound == pytest.approx(0.98)
    assert strict["recall of benign"].passed
    assert judged(monkeypatch, Judge(), Judge(0.1), 1 / 12)["recall of loan"].passed


def test_more_wrong_texts_and_a_slower_network_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged(monkeypatch, Judge(), Judge(0.25), 0.02)
    assert not found["must_catch texts below review"].passed
    assert found["must_pass texts from review on"].passed
    assert not found["messages a second"].passed
    assert found["messages a second"].bound == 90
    assert found["calibration error"].passed
    assert found["bytes"].passed


def test_without_a_current_bundle_nothing_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Scanner", lambda _: Judge())
    found = [gate.name for gate in gates(read_bundle(default_bundle()), None, challenges(), 0.02)]
    assert found == ["must_catch texts allowed", "must_pass texts blocked", "bytes", "calibration error"]


def test_a_gate_says_figure_bound_and_what_to_do() -> None:
    gate = Gate("must_catch texts allowed", 2, 0, "write training texts", where=("mc-1", "mc-2"))
    assert str(gate).startswith("FAIL  must_catch texts allowed")
    assert str(gate).endswith("2  at most 0; write training texts: mc-1, mc-2")
    assert str(Gate("bytes", 29_957_083, 30_000_000, "")).endswith("29,957,083  at most 30,000,000")
    assert not Gate("calibration error", None, 0.05, "").passed
    assert not Gate("calibration error", float("nan"), 0.05, "").passed


def test_speed_is_measured_in_turns() -> None:
    turns = []

    class Clocked(Judge):
        def scan_many(self, texts: Iterator[str]) -> Iterator[SimpleNamespace]:
            turns.append(self.shift)
            return super().scan_many(texts)

    found = speeds([Clocked(0), Clocked(1)], ["0.1", "0.2"])
    assert turns == [0, 1] * module.SPEED_ROUNDS
    assert all(speed > 0 for speed in found)


def test_a_set_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="--challenge"):
        read_gate_texts(tmp_path / "nowhere")
    source = Path(__file__).parents[2] / "data/challenge/must_pass.jsonl"
    (tmp_path / "must_pass.jsonl").write_bytes(source.read_bytes())
    with pytest.raises(CorpusError, match="lacks must_catch, lookalike, "):
        read_gate_texts(tmp_path)
