import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from ruthan.client.errors import BusyError, UnreachableError
from ruthan.client.parts import FRAME, Parts, encoded
from ruthan.client.protocol import LONGEST_WAIT, PAUSES, Lost, Operations, Reply, Wait
from ruthan.client.replies import Limits

LIMITS = Limits(
    max_text_length=1_000,
    max_batch=100,
    max_batch_explained=10,
    max_batch_characters=100_000,
    max_body_bytes=4_000,
    max_upload_bytes=1,
    deadline_seconds=1,
)


def waits(retries: int, outcome: Any) -> list[float]:
    """The seconds that a scan waits between its attempts when each of them ends so."""
    flow, found = Operations(retries).scan("x", None, explain=False), []
    step = next(flow)
    try:
        while True:
            if isinstance(step, Wait):
                found.append(step.seconds)
            step = flow.send(None if isinstance(step, Wait) else outcome)
    except (UnreachableError, BusyError):
        return found


def busy(**headers: str) -> Reply:
    return Reply(429, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


def test_waits_grow_up_to_a_most_and_differ_between_callers() -> None:
    first, most = PAUSES
    found = waits(12, Lost("no connection"))
    for attempt, seconds in enumerate(found):
        whole = min(most, first * 2**attempt)
        assert whole / 2 <= seconds <= whole
    assert len(found) == 12
    assert found != waits(12, Lost("no connection"))


def test_a_wait_is_never_shorter_than_the_service_asks_for() -> None:
    assert all(7 <= seconds <= 7 + PAUSES[1] for seconds in waits(5, busy(retry_after="7")))
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert all(28 <= seconds <= 30 + PAUSES[1] for seconds in waits(5, busy(retry_after=date)))


@pytest.mark.parametrize(
    "said", ["", "soon", "-5", "nan", "Fri, 99 Foo 2026 00:00:00 GMT", "Mon, 01 Jan 99999999999 00:00:00 GMT"]
)
def test_a_retry_after_that_says_nothing_is_passed_over(said: str) -> None:
    assert len(waits(3, busy(retry_after=said))) == 3


@pytest.mark.parametrize("said", [str(LONGEST_WAIT + 1), "inf"])
def test_nobody_waits_for_minutes_unasked(said: str) -> None:
    assert waits(3, busy(retry_after=said)) == []


def test_without_retries_there_is_one_attempt() -> None:
    assert waits(0, Lost("no connection")) == []


def test_parts_hold_as_many_bytes_as_the_service_takes_and_no_more() -> None:
    parts, found = Parts(LIMITS, explain=False), []
    texts = ["ก" * length for length in range(0, 900, 7)]
    for text in texts:
        if part := parts.add(text):
            found.append(part)
    found.append(parts.rest())
    assert [json.loads(entry)["text"] for part in found for entry in part] == texts
    bodies = [len(b'{"messages":[' + b",".join(part) + b"]}") for part in found]
    assert max(bodies) <= LIMITS.max_body_bytes
    for body, after in zip(bodies, found[1:], strict=False):
        assert body + len(after[0]) + FRAME > LIMITS.max_body_bytes
    assert parts.rest() == []


def test_parts_to_be_explained_hold_a_tenth_of_the_characters() -> None:
    limits = replace(LIMITS, max_batch_characters=1_000)
    for explain, most in ((False, 10), (True, 1)):
        parts = Parts(limits, explain)
        assert len(next(part for part in (parts.add("x" * 100) for _ in range(20)) if part)) == most


def test_bytes_are_counted_as_they_are_sent() -> None:
    assert encoded({"text": "ก"}) == '{"text":"ก"}'.encode()
    assert encoded("\ud83d") == b'"\\ud83d"'
    assert encoded("\\ud83d") == b'"\\\\ud83d"'
    parts = Parts(LIMITS, explain=False)
    assert parts.add("\x00" * 700) is None  # six bytes each in JSON
    [entry] = parts.rest()
    assert "4,211 bytes" in entry.error
