import json
from dataclasses import replace
from typing import Any

import pytest

from ruthan.errors import DataError
from ruthan.message import Message, Source
from ruthan.scanner import Scanner
from ruthan.verdict import Evidence, RecruitmentSigns, Verdict, WordWeight

JOB = "รับแอดมินตอบแชท เดือนละ 35,000 ไม่ดูวุฒิ มีรถรับถึงบ้าน พาข้ามฝั่งไปปอยเปต แอดไลน์ ＠HR-poipet"
WHOLE = Verdict(
    risk=0.75,
    label="loan",
    action="review",
    scores={"loan": 0.75, "benign": 0.25},
    evidence=(
        Evidence("indicator", "line_id", "@quick", "@quick", 0, 6, {"official": "no"}),
        Evidence("signal", "urgency", "", "ด่วน", 7, 11),
    ),
    reasons=("เหตุผล",),
    reasons_en=("A reason.",),
    advice=("คำแนะนำ",),
    advice_en=("Advice.",),
    needs_help=False,
    recruitment=RecruitmentSigns(1, 2, 3),
    model="ruthan-2026.12",
    policy="default",
    windows=1,
    words=(WordWeight("ด่วน", 7, 11, 1.5),),
    source=Source("inbox.csv", 3),
)


def through_json(verdict: Verdict) -> Any:
    return json.loads(json.dumps(verdict.to_dict()))


@pytest.mark.parametrize(
    "verdict",
    [
        WHOLE,
        replace(WHOLE, recruitment=None, words=None, source=None),
        replace(WHOLE, words=(), evidence=(), scores={}, advice=()),
        replace(WHOLE, risk=1.0, scores={"loan": 1.0}),
    ],
)
def test_a_verdict_comes_back_from_what_it_was_written_as(verdict: Verdict) -> None:
    assert Verdict.from_dict(verdict.to_dict()) == verdict
    assert Verdict.from_dict(through_json(verdict)) == verdict


def test_verdicts_of_the_scanner_come_back_from_json(scanner: Scanner, hostile: str) -> None:
    for text in (hostile, JOB):
        verdict = scanner.scan(Message(text, source=Source("chat.txt", 1)))
        assert Verdict.from_dict(through_json(verdict)) == verdict


def test_explained_verdicts_come_back_with_their_words(scanner: Scanner) -> None:
    verdict = scanner.scan(JOB, explain=True)
    assert verdict.words
    assert Verdict.from_dict(through_json(verdict)) == verdict


def test_whole_numbers_become_risks_and_scores() -> None:
    verdict = Verdict.from_dict({**through_json(WHOLE), "risk": 1, "scores": {"loan": 1}})
    assert (verdict.risk, verdict.scores) == (1.0, {"loan": 1.0})
    assert isinstance(verdict.risk, float)


def test_fields_that_a_later_version_may_add_are_passed_over() -> None:
    assert Verdict.from_dict({**through_json(WHOLE), "colour": "red"}) == WHOLE


def test_a_label_that_a_later_version_may_add_is_taken() -> None:
    verdict = Verdict.from_dict({**through_json(WHOLE), "label": "new_scam", "scores": {"new_scam": 0.75}})
    assert (verdict.label, verdict.scores) == ("new_scam", {"new_scam": 0.75})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("risk", "high"),
        ("risk", True),
        ("risk", 5),
        ("risk", -0.1),
        ("risk", float("nan")),
        ("risk", 10**400),
        ("label", None),
        ("action", "delete"),
        ("scores", {"loan": "much"}),
        ("scores", {"loan": 1.5}),
        ("scores", {"loan": float("nan")}),
        ("scores", {"loan": 10**400}),
        ("evidence", {}),
        ("evidence", [5]),
        ("evidence", [{"kind": "signal", "type": "urgency", "text": "x", "start": "0", "end": 1}]),
        ("reasons", "one sentence"),
        ("advice_en", [1]),
        ("needs_help", 0),
        ("recruitment", {"strong": 1}),
        ("windows", 1.5),
        ("words", [{"text": "x"}]),
        ("words", [{"text": "x", "start": 0, "end": 1, "weight": -(10**400)}]),
        ("words", [{"text": "x", "start": 0, "end": 1, "weight": float("inf")}]),
        ("source", {"file": "x"}),
    ],
)
def test_what_is_no_verdict_is_refused_and_not_quoted(name: str, value: object) -> None:
    with pytest.raises(DataError, match="no verdict") as caught:
        Verdict.from_dict({**through_json(WHOLE), name: value})
    assert "one sentence" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in WHOLE.to_dict() if name not in ("recruitment", "words", "source")])
def test_a_missing_field_is_named(name: str) -> None:
    content = through_json(WHOLE)
    del content[name]
    with pytest.raises(DataError, match=name):
        Verdict.from_dict(content)
