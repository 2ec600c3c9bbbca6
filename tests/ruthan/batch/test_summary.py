from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from ruthan.batch.summary import FIRST, NAMES, OTHERS, Distinct, Frequent, Names, Summary, Timeline


def row(number: int = 0, label: str = "loan", risk: float = 0.9, **changes: Any) -> dict[str, Any]:
    message = {"id": f"{number:016x}", "template": f"{number:016x}", "channel": "sms", **changes.pop("message", {})}
    return {
        "risk": risk,
        "label": label,
        "action": "allow" if label == "benign" else "review",
        "scores": {},
        "evidence": [],
        "reasons": ["เหตุผล"],
        "reasons_en": ["a reason"],
        "needs_help": False,
        "model": "m",
        "policy": "p",
        "source": {"file": "dump.csv", "line": number + 1},
        "message": {name: value for name, value in message.items() if value is not None},
        **changes,
    }


def phone(value: str, **details: str) -> dict[str, Any]:
    return {
        "kind": "indicator",
        "type": "phone",
        "value": value,
        "text": value,
        "start": 0,
        "end": 9,
        "details": details,
    }


def sign(type_: str, **details: str) -> dict[str, Any]:
    return {"kind": "signal", "type": type_, "text": "x", "start": 0, "end": 1, "details": details}


def test_messages_are_counted_by_action_label_and_channel() -> None:
    summary = Summary()
    summary.add(row(1))
    summary.add(row(2, message={"channel": " SMS "}))
    summary.add(row(3, "benign", 0.1, message={"channel": None}))
    assert (summary.messages, summary.harmful) == (3, 2)
    assert summary.actions == {"review": 2, "allow": 1}
    assert {label: bucket.messages for label, bucket in summary.labels.items()} == {"loan": 2, "benign": 1}
    assert {name: (each.messages, each.harmful) for name, each in summary.channels.items()} == {
        "sms": (2, 2),
        "": (1, 0),
    }
    assert summary.models.most_common() == [("m", 3)]


def test_repeats_are_messages_but_no_distinct_texts() -> None:
    summary = Summary()
    for _ in range(5):
        summary.add(row(7))
    summary.add(row(8))
    assert (summary.messages, summary.texts.number, summary.texts.exact) == (6, 2, True)


def test_many_distinct_texts_are_estimated_in_constant_memory() -> None:
    distinct = Distinct(kept=2_000)
    for number in range(30_000):
        distinct.add(str(number))
        distinct.add(str(number // 2))
    assert not distinct.exact
    assert len(distinct._hashes) == len(distinct._largest) == 2_000
    assert distinct.number == pytest.approx(30_000, rel=0.1)


def stream() -> Iterator[str]:
    random = Random(3)
    for _ in range(20_000):
        yield str(int(random.paretovariate(0.8)))


def test_frequent_keys_are_in_and_no_count_is_off_by_more_than_its_error() -> None:
    truth = Counter(stream())
    frequent = Frequent(100)
    for value in stream():
        frequent.add("phone", value, "loan")
    assert len(frequent) == 100
    assert len(frequent._rarest) == 100
    assert not frequent.exact
    top = frequent.most_common(100)
    for each in top:
        assert each.messages - each.error <= truth[each.value] <= each.messages
        assert each.labels.total() == each.messages - each.error
    found = {each.value for each in top}
    assert all(value in found for value, number in truth.items() if number > 20_000 / 100)
    assert [each.value for each in top[:3]] == [value for value, _ in truth.most_common(3)]


def test_few_keys_are_counted_exactly() -> None:
    frequent = Frequent(10)
    for value in "abcabca":
        frequent.add("phone", value, "loan")
    assert frequent.exact
    assert [(each.value, each.messages) for each in frequent.most_common(2)] == [("a", 3), ("b", 2)]


def test_an_indicator_counts_once_in_a_message() -> None:
    summary = Summary()
    summary.add(row(evidence=[phone("+66810005678"), phone("+66810005678")]))
    [each] = summary.indicators.most_common(5)
    assert (each.type, each.value, each.messages, each.labels) == ("phone", "+66810005678", 1, {"loan": 1})


def test_numbers_of_honest_people_of_who_asks_for_help_and_of_the_state_are_no_leads() -> None:
    summary = Summary()
    summary.add(row(1, "benign", 0.1, evidence=[phone("+66810005678")]))
    summary.add(row(2, "trafficking", needs_help=True, evidence=[phone("+66810005679")], recruitment={"strong": 2}))
    summary.add(row(3, evidence=[phone("021000000", official="KBank"), phone("1441") | {"type": "hotline"}]))
    assert summary.indicators.most_common(5) == []
    assert summary.recruitment.contacts.most_common(5) == []


def test_signs_of_recruitment_are_counted_apart_for_trafficking_and_for_other_work() -> None:
    signs = [sign("conceal_trip", strength="strong"), sign("urgency", strength="weak", quoted="yes"), sign("urgency")]
    summary = Summary()
    summary.add(row(1, "trafficking", evidence=[*signs, phone("+66810005678")], recruitment={"strong": 1, "weak": 0}))
    summary.add(
        row(2, "benign", 0.1, evidence=[sign("urgency", strength="weak")], recruitment={"strong": 0, "weak": 1})
    )
    summary.add(row(3, "loan"))
    recruitment = summary.recruitment
    assert (recruitment.messages, recruitment.trafficking) == (2, 1)
    assert recruitment.with_signs == {("strong", True): 1, ("weak", False): 1}
    assert recruitment.table() == [("strong", "conceal_trip", 1, 0), ("weak", "urgency", 0, 1)]
    assert [each.value for each in recruitment.contacts.most_common(5)] == ["+66810005678"]


def test_the_timeline_is_by_thai_day() -> None:
    timeline = Timeline()
    timeline.add("2026-11-27T08:54:00+07:00", True, "block")
    timeline.add("2026-11-26T18:30:00+00:00", False, "allow")
    timeline.add(None, True, "block")
    timeline.add("no time at all", True, "block")
    [(day, bucket)] = timeline
    assert (day, bucket.messages, bucket.harmful, timeline.undated) == ("2026-11-27", 2, 1, 2)


def test_a_long_timeline_is_kept_by_month_and_then_by_year_without_losing_a_message() -> None:
    timeline = Timeline()
    for number in range(500):
        timeline.add(
            f"{2000 + number // 336}-{number // 28 % 12 + 1:02}-{number % 28 + 1:02}T00:00:00+07:00", False, "allow"
        )
    assert timeline.unit == "month"
    for number in range(700):
        timeline.add(f"{1980 + number // 12}-{number % 12 + 1:02}-01T00:00:00+07:00", False, "allow")
    assert timeline.unit == "year"
    assert sum(bucket.messages for _, bucket in timeline) == 1_200


def test_the_ends_of_the_calendar_are_no_trouble() -> None:
    timeline = Timeline()
    timeline.add("0001-01-01T00:00:00+14:00", False, "allow")
    timeline.add("9999-12-31T23:59:59-10:00", False, "allow")
    assert timeline.undated + sum(bucket.messages for _, bucket in timeline) == 2


def test_the_riskiest_are_kept_one_of_each_template() -> None:
    summary = Summary(top=3)
    for number in range(50):
        summary.add(row(number % 5, risk=0.5 + number / 200), f"text {number}")
    summary.add(row(9, "benign", risk=0.99))
    assert [each.text for each in summary.riskiest] == ["text 49", "text 48", "text 47"]
    assert [each.name for each in summary.riskiest] == ["dump.csv:5", "dump.csv:4", "dump.csv:3"]


def test_of_equal_risks_the_earlier_stays() -> None:
    summary = Summary(top=2)
    for number in range(5):
        summary.add(row(number))
    assert [each.line for each in summary.riskiest] == [1, 2]


def test_a_text_is_kept_only_if_it_is_given_and_never_whole_if_it_is_long() -> None:
    summary = Summary(top=3)
    summary.add(row(1, risk=0.8))
    summary.add(row(2, risk=0.7, message={"text": "in the row"}))
    summary.add(row(3, risk=0.6), "ก" * 100_000)
    without, from_row, long = summary.riskiest
    assert without.text is None
    assert from_row.text == "in the row"
    assert long.text is not None
    assert (len(long.text), long.length) == (4_000, 100_000)


def test_pleas_are_counted_and_the_first_are_kept() -> None:
    summary = Summary()
    for number in range(80):
        summary.add(row(number, "benign", 0.1, needs_help=True), "ช่วยด้วย")
    summary.add(row(0, "benign", 0.1, needs_help=True), "ช่วยด้วย")
    assert summary.needs_help == 81
    assert [each.line for each in summary.urgent] == list(range(1, FIRST + 1))


def test_what_was_not_read_is_counted_and_the_first_are_kept() -> None:
    summary = Summary()
    for number in range(70):
        summary.unreadable("bytes" if number % 2 else "columns", "a.csv", number)
    summary.notice("sticker")
    assert summary.reasons.most_common() == [("bytes", 35), ("columns", 35)]
    assert (len(summary.not_read), summary.not_read[1].reason, summary.not_read[1].line) == (FIRST, "bytes", 1)
    assert summary.notices.most_common() == [("sticker", 1)]


def test_names_that_a_dump_makes_up_do_not_fill_the_memory() -> None:
    names = Names()
    for number in range(1_000):
        names.add(f"{number} " + "x" * 10_000)
    assert len(names.most_common()) == NAMES + 1
    assert names.most_common()[0] == (OTHERS, 1_000 - NAMES)
    assert names.total() == 1_000


def test_a_row_with_the_least_that_a_row_holds_is_counted() -> None:
    summary = Summary()
    least = {"risk": 0.9, "label": "loan", "action": "block", "evidence": [], "needs_help": False, "model": "m"}
    summary.add({**least, "policy": "p"})
    assert (summary.messages, summary.timeline.undated, summary.texts.number) == (1, 1, 1)
    assert [each.name for each in summary.riskiest] == [""]


def test_half_characters_are_no_trouble() -> None:
    summary = Summary()
    summary.add(row(message={"id": "\ud800", "channel": "\udfff", "sent_at": "\ud800"}), "\ud83d")
    assert summary.messages == 1
