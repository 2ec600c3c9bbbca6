import asyncio
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from ruthan.client import AsyncClient, Client, ItemError, errors
from ruthan.errors import MessageError, RuthanError
from ruthan.message import Message
from ruthan.verdict import Verdict

KEY = "rtk_0123abcd_" + "s" * 43
JOB = {
    "id": "f" * 32,
    "name": "แชท.txt",
    "state": "done",
    "error": None,
    "bytes": 10,
    "bytes_read": 10,
    "progress": {"messages": 2, "actions": {"allow": 2}, "files": ["แชท.txt: LINE"]},
    "created_at": "2026-11-27T01:02:03Z",
    "started_at": "2026-11-27T01:02:03.5+00:00",
    "finished_at": None,
    "results": "/v1/jobs/…",
}


def scan(client: Any) -> Any:
    return client.scan("สวัสดี")


def each_judged(verdict: Verdict) -> Any:
    """Answers a batch with a verdict a message, which has the text as its model's name."""

    def answer(request: Any) -> Any:
        texts = [message["text"] for message in request.json["messages"]]
        return {"results": [replace(verdict, model=text).to_dict() for text in texts]}

    return answer


def sizes(script: Any) -> list[int]:
    """How many messages each request had."""
    return [len(request.json["messages"]) for request in script.requests if request.path.startswith("/v1/scan/batch")]


# One message


def test_a_message_is_sent_with_its_channel_and_its_verdict_comes_back(script: Any, do: Any, verdict: Verdict) -> None:
    script.answers(verdict.to_dict()).answers(verdict.to_dict()).answers(verdict.to_dict())
    assert do(script.url, lambda client: client.scan("สวัสดี", channel="sms")) == verdict
    assert do(script.url, lambda client: client.scan(Message("สวัสดี", channel="chat"))) == verdict
    assert do(script.url + "/", scan) == verdict
    assert [request.json for request in script.requests] == [
        {"text": "สวัสดี", "channel": "sms"},
        {"text": "สวัสดี", "channel": "chat"},
        {"text": "สวัสดี"},
    ]
    assert {request.path for request in script.requests} == {"/v1/scan"}
    assert script.requests[0].headers["content-type"] == "application/json"


def test_an_explained_message_goes_to_its_own_path(script: Any, do: Any, verdict: Verdict) -> None:
    script.answers(replace(verdict, words=()).to_dict())
    assert do(script.url, lambda client: client.explain("x")).words == ()
    assert script.paths == ["/v1/explain"]


def test_half_an_emoji_arrives_as_it_was(script: Any, do: Any, verdict: Verdict) -> None:
    script.answers(verdict.to_dict())
    text = 'โอน\ud83dด่วน "\\ud83d" \x00'
    do(script.url, lambda client: client.scan(text))
    assert script.requests[0].json == {"text": text}


def test_a_service_below_a_path_is_called_there(script: Any, do: Any, verdict: Verdict) -> None:
    script.answers(verdict.to_dict())
    do(f"{script.url}/ruthan/", scan)
    assert script.paths == ["/ruthan/v1/scan"]


@pytest.mark.parametrize("value", [None, 5, b"x", Message(5)], ids=repr)  # type: ignore[arg-type]
def test_what_is_no_message_is_not_sent(script: Any, do: Any, value: Any) -> None:
    with pytest.raises(MessageError):
        do(script.url, lambda client: client.scan(value))
    assert script.requests == []


# Many messages


def test_many_are_sent_in_parts_and_come_back_in_order(script: Any, do: Any, verdict: Verdict) -> None:
    script.always(each_judged(verdict))
    results = do(script.url, lambda client: client.scan_many(str(number) for number in range(10)))
    assert [each.model for each in results] == [str(number) for number in range(10)]
    assert sizes(script) == [4, 4, 2]


def test_explained_ones_go_in_smaller_parts(script: Any, do: Any, verdict: Verdict) -> None:
    script.always(each_judged(verdict))
    assert len(do(script.url, lambda client: client.scan_many("abcde", explain=True))) == 5
    assert sizes(script) == [2, 2, 1]
    assert script.paths[1:] == ["/v1/scan/batch?explain=true"] * 3


def test_many_characters_or_bytes_make_a_part_full(script: Any, do: Any, verdict: Verdict) -> None:
    script.always(each_judged(verdict))
    texts = ["ก" * 90, "ข" * 90, "ค" * 90, "x"]
    results = do(script.url, lambda client: client.scan_many(texts))
    assert [each.model for each in results] == texts
    assert sizes(script) == [2, 2]
    assert all(len(request.body) <= 10_000 for request in script.requests)


def test_a_message_that_cannot_be_judged_fails_alone(script: Any, do: Any, verdict: Verdict) -> None:
    def answer(request: Any) -> Any:
        results = each_judged(verdict)(request)["results"]
        return {"results": [{"error": "not this one"} if each["model"] == "bad" else each for each in results]}

    script.always(answer)
    results = do(script.url, lambda client: client.scan_many(["a", 5, "ก" * 101, "bad", Message("b", channel="sms")]))
    assert [type(each) for each in results] == [Verdict, ItemError, ItemError, ItemError, Verdict]
    assert results[3] == ItemError("not this one")
    assert "send at most 100" in results[2].error
    assert [each.model for each in results if isinstance(each, Verdict)] == ["a", "b"]
    sent = [message for request in script.requests[1:] for message in request.json["messages"]]
    assert sent == [{"text": "a"}, {"text": "bad"}, {"text": "b", "channel": "sms"}]


def test_nothing_is_sent_for_no_messages(script: Any, do: Any) -> None:
    assert do(script.url, lambda client: client.scan_many([])) == []
    assert script.paths == ["/v1/model"]


def test_messages_are_read_only_as_far_as_they_are_judged(script: Any, verdict: Verdict) -> None:
    script.always(each_judged(verdict))
    read = []

    def texts() -> Iterator[str]:
        for number in range(100):
            read.append(number)
            yield str(number)

    with Client(script.url) as client:
        results = client.scan_many(texts())
        assert read == []
        assert next(results).model == "0"  # type: ignore[union-attr]
        assert len(read) == 5


def test_an_asynchronous_stream_of_messages_is_taken_too(script: Any, verdict: Verdict) -> None:
    script.always(each_judged(verdict))

    async def texts() -> AsyncIterator[str]:
        for number in range(6):
            await asyncio.sleep(0)
            yield str(number)

    async def run() -> list[Any]:
        async with AsyncClient(script.url) as client:
            return [each async for each in client.scan_many(texts())]

    assert [each.model for each in asyncio.run(run())] == list("012345")


@pytest.mark.parametrize(
    ("status", "kind", "after"),
    [(422, "batch-too-large", [2, 2, 2, 2]), (429, "rate-limited", [2, 2, 2, 2]), (504, "deadline", [2, 2, 4])],
)
def test_what_is_too_much_is_sent_in_halves(
    script: Any, do: Any, verdict: Verdict, status: int, kind: str, after: list[int]
) -> None:
    script.answers(script.model).refuses(status, kind).always(each_judged(verdict))
    results = do(script.url, lambda client: client.scan_many("abcdefgh"))
    assert [each.model for each in results] == list("abcdefgh")
    assert sizes(script) == [4, *after]


def test_long_texts_that_were_too_many_bytes_leave_short_ones_together(script: Any, do: Any, verdict: Verdict) -> None:
    script.answers(script.model).answers("of a proxy", 413).always(each_judged(verdict))
    texts = ["ก" * 90, "ข" * 90, *"abcdefgh"]
    results = do(script.url, lambda client: client.scan_many(texts))
    assert [each.model for each in results] == texts
    assert sizes(script) == [4, 2, 2, 4, 2]
    refused = len(script.requests[1].body)
    assert all(len(request.body) <= refused for request in script.requests)


def test_what_is_too_many_bytes_is_sent_in_halves_and_later_parts_have_no_more_than_half(
    script: Any, do: Any, verdict: Verdict
) -> None:
    script.answers(script.model).answers("of a proxy", 413).always(each_judged(verdict))
    results = do(script.url, lambda client: client.scan_many(["x" * 50] * 12))
    assert len(results) == 12
    assert sizes(script) == [4, 2, 2, *[1] * 8]
    most = len(script.requests[1].body) // 2
    assert all(len(request.body) <= most for request in script.requests[4:])


def test_one_message_that_takes_too_long_fails_alone(script: Any, do: Any, verdict: Verdict) -> None:
    script.answers(script.model).refuses(504, "deadline").answers({"results": [verdict.to_dict()]})
    script.refuses(504, "deadline", "no verdict within 10 seconds").refuses(504, "deadline", "no verdict in time")
    results = do(script.url, lambda client: client.scan_many("ab"), retries=1)
    assert results == [verdict, ItemError("no verdict in time")]
    assert sizes(script) == [2, 1, 1, 1]


def test_the_halves_of_what_took_too_long_are_not_sent_at_once(script: Any, do: Any, verdict: Verdict) -> None:
    script.answers(script.model).refuses(504, "deadline", **{"Retry-After": "0.3"}).always(each_judged(verdict))
    began = time.monotonic()
    assert len(do(script.url, lambda client: client.scan_many("ab"))) == 2
    assert 0.3 <= time.monotonic() - began < 3
    script.answers(script.model).refuses(504, "deadline", **{"Retry-After": "600"})
    with pytest.raises(errors.ServiceError):
        do(script.url, lambda client: client.scan_many("ab"))


def test_a_service_that_is_too_slow_for_one_message_after_the_other_is_left_alone(script: Any, do: Any) -> None:
    script.answers(script.model)
    for _ in range(20):
        script.refuses(504, "deadline", "no verdict in time")
    with pytest.raises(errors.ServiceError, match="no verdict in time"):
        do(script.url, lambda client: client.scan_many("abcdefgh"), retries=1)
    assert sizes(script) == [4, 2, 1, 1, 1, 1]


def test_slow_messages_among_others_fail_alone(script: Any, do: Any, verdict: Verdict) -> None:
    script.answers(script.model).refuses(504, "deadline")
    for _ in range(2):
        script.refuses(504, "deadline").refuses(504, "deadline", "slow").answers({"results": [verdict.to_dict()]})
    results = do(script.url, lambda client: client.scan_many("abcd"), retries=0)
    assert results == [ItemError("slow"), verdict, ItemError("slow"), verdict]


def test_a_gateway_that_has_lost_the_service_is_not_asked_for_every_message(script: Any, do: Any) -> None:
    script.answers(script.model)
    for _ in range(20):
        script.answers(b"<html>Gateway Time-out</html>", 504)
    with pytest.raises(errors.ServiceError, match="504"):
        do(script.url, lambda client: client.scan_many("abcd"), retries=2)
    assert sizes(script) == [4, 4, 4]


def test_a_service_that_answers_for_other_messages_is_not_believed(script: Any, do: Any, verdict: Verdict) -> None:
    script.always(lambda request: {"results": [verdict.to_dict()]})
    with pytest.raises(errors.ReplyError, match="1 results for 2 messages"):
        do(script.url, lambda client: client.scan_many("ab"))


# Trying again


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_fails_for_a_while_is_tried_again(script: Any, do: Any, verdict: Verdict, status: int) -> None:
    script.answers("busy", status).drops().drops(b'{"risk": 0.9, "label": "loan"}').answers(verdict.to_dict())
    assert do(script.url, scan) == verdict
    assert len(script.requests) == 4
    assert len({request.body for request in script.requests}) == 1


def test_it_is_given_up_after_so_many_retries(script: Any, do: Any) -> None:
    for _ in range(5):
        script.refuses(503, "not-ready", "the service is stopping")
    with pytest.raises(errors.ServiceError, match="is stopping") as caught:
        do(script.url, scan, retries=2)
    assert (caught.value.status, caught.value.kind, len(script.requests)) == (503, "not-ready", 3)


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (401, "key-unknown", errors.AccessError),
        (403, "scope-missing", errors.AccessError),
        (404, "not-found", errors.ProblemError),
        (409, "conflict", errors.ProblemError),
        (422, "text-too-long", errors.ProblemError),
        (500, "internal", errors.ServiceError),
        (507, "storage-full", errors.ServiceError),
    ],
)
def test_what_would_fail_again_is_not_tried_again(
    script: Any, do: Any, status: int, kind: str, error: type[errors.ProblemError]
) -> None:
    script.refuses(status, kind, "send something else", **{"X-Request-Id": "5f0c"})
    with pytest.raises(error, match=rf"send something else \({kind} {status}, request 5f0c\)") as caught:
        do(script.url, scan)
    assert type(caught.value) is error
    assert isinstance(caught.value, RuthanError)
    assert caught.value.request_id == "5f0c"
    assert len(script.requests) == 1


def test_whoever_is_told_to_wait_long_is_told_so_at_once(script: Any, do: Any) -> None:
    script.refuses(429, "rate-limited", "at most 1,000 feedback a day", **{"Retry-After": "50000"})
    with pytest.raises(errors.BusyError) as caught:
        do(script.url, lambda client: client.feedback("loan", text="x"))
    assert caught.value.retry_after == 50_000


def test_retry_after_is_waited_for(script: Any, do: Any, verdict: Verdict) -> None:
    script.refuses(429, "queue-full", **{"Retry-After": "0.3"}).answers(verdict.to_dict())
    began = time.monotonic()
    assert do(script.url, scan) == verdict
    assert 0.3 <= time.monotonic() - began < 3


def test_a_reply_that_does_not_come_is_not_waited_for(script: Any, do: Any) -> None:
    script.answers("late", pause=1)
    with pytest.raises(errors.UnreachableError, match=r"no reply within 0\.1 seconds"):
        do(script.url, scan, timeout=0.1, retries=0)


def test_where_nothing_listens_it_says_so(do: Any) -> None:
    with pytest.raises(errors.UnreachableError, match="cannot be reached"):
        do("http://127.0.0.1:9", scan, retries=1)


# What is no ruthan service


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b"{}", b"null", b"\xff", b'{"risk": 2}', b"[" * 100_000],
    ids=lambda body: repr(body[:12]),
)
@pytest.mark.parametrize(
    "work",
    [scan, lambda c: c.model(), lambda c: c.taxonomy(), lambda c: c.job("x"), lambda c: c.jobs()],
    ids=["scan", "model", "taxonomy", "job", "jobs"],
)
def test_a_reply_that_makes_no_sense_is_an_error_of_ours(script: Any, do: Any, work: Any, body: bytes) -> None:
    script.answers(body)
    with pytest.raises(errors.ReplyError):
        do(script.url, work)


@pytest.mark.parametrize("changes", [{"risk": 10**400}, {"scores": {"loan": 5}}], ids=["risk", "scores"])
def test_a_verdict_that_cannot_be_is_not_believed(script: Any, do: Any, verdict: Verdict, changes: Any) -> None:
    script.answers({**verdict.to_dict(), **changes})
    with pytest.raises(errors.ReplyError, match="no verdict"):
        do(script.url, scan)


@pytest.mark.parametrize("value", ["256", None, [], True, 2.5], ids=repr)
@pytest.mark.parametrize("name", ["max_text_length", "max_batch", "max_batch_characters", "max_body_bytes"])
def test_a_limit_that_is_no_number_is_not_believed(script: Any, do: Any, name: str, value: Any) -> None:
    script.answers({**script.model, "limits": {**script.model["limits"], name: value}})
    with pytest.raises(errors.ReplyError, match=name):
        do(script.url, lambda client: client.scan_many("ab"))


@pytest.mark.parametrize(
    "changes",
    [
        {"progress": {"files": 5}},
        {"progress": {"messages": "2"}},
        {"bytes": "x"},
        {"bytes_read": None},
        {"id": 5},
        {"state": {}},
        {"created_at": None},
    ],
    ids=repr,
)
def test_a_job_that_cannot_be_is_not_believed(script: Any, do: Any, changes: Any) -> None:
    script.answers({**JOB, "state": "running", **changes})
    with pytest.raises(errors.ReplyError):
        do(script.url, lambda client: client.wait("f" * 32, timeout=0))


def test_keys_do_not_follow_a_redirect(script: Any, do: Any) -> None:
    script.answers("", 308, headers={"Location": "http://127.0.0.1:9/v1/scan"})
    with pytest.raises(errors.ReplyError, match="another address"):
        do(script.url, scan, key=KEY)
    assert len(script.requests) == 1


def test_a_reply_that_is_not_packed_as_it_says_is_an_error_of_ours(script: Any, do: Any) -> None:
    script.answers(b"no gzip", headers={"Content-Encoding": "gzip"})
    with pytest.raises(errors.UnreachableError, match="DecodingError"):
        do(script.url, scan, retries=0)


@pytest.mark.parametrize("status", [418, 520, 599])
def test_a_status_without_a_reason_is_an_error_of_ours(script: Any, do: Any, status: int) -> None:
    script.answers("<html>a page of something between</html>", status)
    with pytest.raises(errors.ProblemError) as caught:
        do(script.url, scan)
    assert "html" not in str(caught.value)


# Keys


def test_the_key_goes_into_the_header_and_nowhere_else(script: Any, do: Any, verdict: Verdict) -> None:
    script.answers(verdict.to_dict()).refuses(401, "key-unknown", f"the key {KEY} is unknown")
    do(script.url, scan, key=KEY)
    request = script.requests[0]
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in request.path
    with pytest.raises(errors.AccessError) as caught:
        do(script.url, scan, key=KEY)
    assert "sss" not in f"{caught.value!r} {caught.value} {caught.value.__dict__}"


def test_a_client_does_not_show_its_key() -> None:
    with Client("https://ruthan.example", KEY) as client:
        assert repr(client) == "Client('https://ruthan.example')"
        assert "sss" not in f"{vars(client)!r}"
    assert repr(AsyncClient("https://ruthan.example", KEY)) == "AsyncClient('https://ruthan.example')"


@pytest.mark.parametrize("key", ["", "two words", "line\nbreak", "กุญแจ", "\ud83d"])
@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_what_is_no_key_is_refused_and_not_shown(client: Any, key: str) -> None:
    with pytest.raises(errors.ClientError, match="the key") as caught:
        client("http://127.0.0.1:8000", key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8000",
        "ftp://host",
        "http://",
        "http://host?key=1",
        "http://a:b",
        "https://me:secret@host",
        5,
        None,
    ],
)
@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_what_is_no_address_is_refused(client: Any, url: Any) -> None:
    with pytest.raises(errors.ClientError, match="address") as caught:
        client(url)
    assert "secret" not in str(caught.value)


# Feedback, classes, jobs


def test_feedback_sends_what_is_known_and_no_more(script: Any, do: Any, verdict: Verdict) -> None:
    kept = {"id": "1", "message_id": "2", "state": "quarantined", "replaced": False, "near": 1, "conflict": True}
    script.answers(kept, 201)
    receipt = do(
        script.url,
        lambda client: client.feedback(
            "benign", kind="notice", message_id="0" * 16, verdict=verdict, reviewer="ผู้ตรวจ-07"
        ),
    )
    assert (receipt.near, receipt.conflict) == (1, True)
    assert script.requests[0].json == {
        "label": "benign",
        "kind": "notice",
        "message_id": "0" * 16,
        "reviewer": "ผู้ตรวจ-07",
        "verdict": {"risk": 0.9, "label": "loan", "action": "review", "model": "m", "policy": "default"},
    }


def test_a_dump_is_sent_again_from_its_beginning_under_the_same_name(script: Any, do: Any, tmp_path: Path) -> None:
    path = tmp_path / "แชท.txt"
    path.write_bytes(b"0123456789")
    script.drops().refuses(503, "storage-unavailable").answers(JOB, 202)
    job = do(script.url, lambda client: client.submit(path, mask=True, column="ข้อความ"))
    assert (job.name, job.progress.messages, job.progress.files) == ("แชท.txt", 2, ("แชท.txt: LINE",))
    assert job.created_at.tzinfo is not None
    assert [request.body for request in script.requests] == [b"0123456789"] * 3
    assert len({request.headers["idempotency-key"] for request in script.requests}) == 1
    query = httpx.URL(script.requests[0].path).params
    assert dict(query) == {"name": "แชท.txt", "mask": "true", "with_text": "false", "column": "ข้อความ"}
    assert script.requests[0].headers["content-length"] == "10"


def test_an_open_file_is_sent_from_where_it_stands(script: Any, do: Any) -> None:
    file = io.BytesIO(b"skip0123")
    file.seek(4)
    script.answers("", 502).answers(JOB, 202)
    do(script.url, lambda client: client.submit(file, name="a.txt", idempotency_key="แชท\n1"))
    assert [request.body for request in script.requests] == [b"0123"] * 2
    assert script.requests[1].headers["idempotency-key"] == "%E0%B9%81%E0%B8%8A%E0%B8%97%0A1"


def test_what_can_be_read_only_once_is_not_sent_twice(script: Any, do: Any) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"0123")
    os.close(writing)
    script.refuses(503, "not-ready")
    with os.fdopen(reading, "rb") as pipe, pytest.raises(errors.ServiceError):
        do(script.url, lambda client: client.submit(pipe))
    assert [request.body for request in script.requests] == [b"0123"]


def test_a_dump_that_is_not_there_is_named(script: Any, do: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.ClientError, match=r"cannot read .*missing\.txt"):
        do(script.url, lambda client: client.submit(tmp_path / "missing.txt"))


@pytest.mark.parametrize("dump", [io.StringIO("ก"), b"0123", None, 5], ids=repr)
def test_what_is_no_dump_is_not_sent(script: Any, do: Any, dump: Any) -> None:
    with pytest.raises(errors.ClientError, match="opened for reading bytes"):
        do(script.url, lambda client: client.submit(dump))
    assert script.requests == []


def test_a_name_that_is_not_all_text_is_sent_with_escapes(script: Any, do: Any) -> None:
    script.answers(JOB, 202).refuses(404, "not-found")
    do(script.url, lambda client: client.submit(io.BytesIO(b"x"), name="\udcff.txt", idempotency_key="\ud83d"))
    with pytest.raises(errors.ProblemError):
        do(script.url, lambda client: client.job("\ud83d"))
    assert httpx.URL(script.requests[0].path).params["name"] == r"\udcff.txt"
    assert script.requests[0].headers["idempotency-key"] == "%5Cud83d"
    assert script.paths[1] == "/v1/jobs/%5Cud83d"


def test_waiting_ends_when_the_job_is_done(script: Any, do: Any) -> None:
    script.answers({**JOB, "state": "queued"}).answers({**JOB, "state": "running"}).answers(JOB)
    assert do(script.url, lambda client: client.wait("f" * 32)).state == "done"
    assert script.paths == [f"/v1/jobs/{'f' * 32}"] * 3


def test_a_job_that_failed_says_why(script: Any, do: Any) -> None:
    script.answers({**JOB, "state": "failed", "error": "no text column"})
    with pytest.raises(errors.JobError, match="no text column") as caught:
        do(script.url, lambda client: client.wait("f" * 32))
    assert caught.value.job.state == "failed"


def test_waiting_ends_in_time(script: Any, do: Any) -> None:
    script.always(lambda request: {**JOB, "state": "running", "bytes_read": 3})
    with pytest.raises(errors.JobError, match=r"running after 0\.1 seconds, with 3 of 10 bytes") as caught:
        do(script.url, lambda client: client.wait("f" * 32, timeout=0.1))
    assert caught.value.job.bytes_read == 3


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "lost"])
def test_waiting_ends_in_time_where_no_answer_comes(script: Any, do: Any, busy: bool) -> None:
    script.answers({**JOB, "state": "running"})
    for _ in range(40):
        if busy:
            script.refuses(503, "not-ready", "the service is stopping", **{"Retry-After": "60"})
        else:
            script.drops()
    began = time.monotonic()
    with pytest.raises(errors.JobError, match=r"cannot be looked at after 0\.2 seconds") as caught:
        do(script.url, lambda client: client.wait("f" * 32, timeout=0.2), retries=30)
    assert caught.value.job.state == "running"
    with pytest.raises(errors.JobError) as caught:
        do(script.url, lambda client: client.wait("f" * 32, timeout=0))
    assert caught.value.job is None
    assert time.monotonic() - began < 3


def test_what_a_service_refuses_while_waiting_is_told_as_it_is(script: Any, do: Any) -> None:
    script.refuses(404, "not-found", "there is no such job")
    with pytest.raises(errors.ProblemError, match="no such job"):
        do(script.url, lambda client: client.wait("f" * 32, timeout=0))


def test_a_job_that_was_erased_and_the_reply_lost_is_erased(script: Any, do: Any) -> None:
    script.drops().refuses(404, "not-found")
    assert do(script.url, lambda client: client.delete("f" * 32)) is None
    script.refuses(404, "not-found", "there is no such job")
    with pytest.raises(errors.ProblemError, match="no such job"):
        do(script.url, lambda client: client.delete("f" * 32))


def test_results_take_their_name_when_they_are_whole(script: Any, do: Any, tmp_path: Path) -> None:
    path = tmp_path / "verdicts.csv"
    script.drops(b"half of it and the rest").answers(b"all of it")
    assert do(script.url, lambda client: client.results("f" * 32, path, format="csv")) == path
    assert path.read_bytes() == b"all of it"
    assert script.paths == [f"/v1/jobs/{'f' * 32}/results?format=csv"] * 2
    path.unlink()
    script.refuses(409, "conflict", "the job is running", **{"Retry-After": "2"})
    with pytest.raises(errors.ProblemError, match="is running"):
        do(script.url, lambda client: client.results("f" * 32, path))
    assert list(tmp_path.iterdir()) == []


def test_results_that_cannot_be_written_are_told(script: Any, do: Any, tmp_path: Path) -> None:
    with pytest.raises(errors.ClientError, match="cannot write"):
        do(script.url, lambda client: client.results("f" * 32, tmp_path / "missing" / "x.csv"))


def test_a_job_is_deleted_by_its_id(script: Any, do: Any) -> None:
    script.answers(b"", 204).answers({"jobs": [JOB]})
    assert do(script.url, lambda client: client.delete("../admin")) is None
    assert script.requests[0].method == "DELETE"
    assert script.paths == ["/v1/jobs/..%2Fadmin"]
    assert [job.id for job in do(script.url, lambda client: client.jobs())] == ["f" * 32]


def test_without_its_package_the_client_says_what_to_install() -> None:
    code = "import sys; sys.modules['httpx'] = None\nimport ruthan.client"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ})
    assert "pip install 'ruthan[client]'" in done.stderr


def test_a_verdict_that_was_sent_comes_back_the_same(script: Any, do: Any, verdict: Verdict) -> None:
    script.answers(json.loads(json.dumps(verdict.to_dict())))
    assert do(script.url, scan) == verdict
