import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from ruthan.message import Message
from ruthan.scanner import Scanner
from serve.app import create_app, open_service
from serve.problems import KINDS, TYPE
from serve.settings import Settings

LURE = "คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงิน แอดไลน์ @easyloan-th"
CHAT = "ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ"
LOCAL = "http://127.0.0.1:8000"

Start = Callable[..., TestClient]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts services with the settings given; they stop when the module is done."""
    started = []

    def start(**given: object) -> TestClient:
        given = {"data_dir": tmp_path_factory.mktemp("data"), "jobs_at_once": 0, "rate_per_address": 0, **given}
        settings = Settings(**given)
        client = TestClient(create_app(settings, open_service(settings)), base_url=LOCAL, raise_server_exceptions=False)
        client.__enter__()
        started.append(client)
        return client

    yield start
    for client in started:
        client.__exit__(None, None, None)


@pytest.fixture(scope="module")
def client(start: Start) -> TestClient:
    return start(max_text_length=100_000, max_batch=4, max_batch_characters=150_000, max_body_bytes=1_000_000)


def problem(reply: httpx.Response) -> dict[str, object]:
    """The problem document of a reply, which has to be one."""
    assert reply.headers["content-type"] == "application/problem+json"
    document = reply.json()
    assert document.keys() >= {"type", "title", "status", "detail", "instance"}
    kind = KINDS[document["type"].removeprefix(TYPE)]
    assert (document["status"], document["title"]) == (reply.status_code, kind.title) == (kind.status, kind.title)
    assert document["instance"] == f"urn:ruthan:request:{reply.headers['x-request-id']}"
    return document


def as_json(value: object) -> object:
    return json.loads(json.dumps(value))


def test_a_message_gets_the_verdict_of_the_library(client: TestClient, scanner: Scanner) -> None:
    for text in (LURE, CHAT):
        reply = client.post("/v1/scan", json={"text": text})
        assert reply.status_code == 200
        assert reply.json() == as_json(scanner.scan(text).to_dict())


def test_an_explained_message_tells_the_words(client: TestClient, scanner: Scanner) -> None:
    assert "words" not in client.post("/v1/scan", json={"text": LURE}).json()
    reply = client.post("/v1/explain", json={"text": LURE}).json()
    assert reply == as_json(scanner.scan(LURE, explain=True).to_dict())
    assert all(LURE[word["start"] : word["end"]] == word["text"] for word in reply["words"])
    assert {each["kind"] for each in reply["evidence"]} >= {"indicator", "signal"}
    assert client.post("/v1/scan?explain=true", json={"text": LURE}).json() == reply
    batch = client.post("/v1/scan/batch?explain=true", json={"messages": [{"text": LURE}]})
    assert batch.json()["results"] == [reply]
    many = client.post("/v1/scan/batch?explain=true", json={"messages": [{"text": LURE}] * 2})
    assert problem(many)["detail"] == "2 messages; send at most 1 at a time"


def test_the_channel_chooses_the_thresholds_of_the_policy(start: Start, tmp_path: Path) -> None:
    policy = tmp_path / "strict.yaml"
    policy.write_text("name: เข้มงวด\nreview: 0.5\nblock: 1\nchannels: {sms: {review: 0, block: 0}}\n", "utf-8")
    client, scanner = start(policy=policy), Scanner(policy=policy)
    for channel, action in ((None, "allow"), ("sms", "block"), ("SMS ", "block"), ("chat", "allow")):
        reply = client.post("/v1/scan", json={"text": CHAT, "channel": channel})
        assert reply.json() == as_json(scanner.scan(Message(CHAT, channel=channel)).to_dict())
        assert reply.json()["action"] == action
    assert reply.headers["x-ruthan-policy"].startswith("%E0%B9%80")
    for channel in (5, ["sms"], "x" * 101):
        assert "channel" in str(problem(client.post("/v1/scan", json={"text": CHAT, "channel": channel}))["detail"])


def test_an_explain_that_is_neither_true_nor_false_is_told_so(client: TestClient) -> None:
    for path, body in (("/v1/scan", {"text": "x"}), ("/v1/scan/batch", {"messages": []})):
        reply = client.post(f"{path}?explain=maybe", json=body)
        assert problem(reply)["detail"] == "send explain=true or explain=false, or leave it out"


def test_a_batch_answers_in_order_and_a_bad_item_fails_alone(client: TestClient) -> None:
    reply = client.post("/v1/scan/batch", json={"messages": [{"text": LURE}, {"body": "x"}, "text", {"text": ""}]})
    assert reply.status_code == 200
    first, second, third, fourth = reply.json()["results"]
    assert first == client.post("/v1/scan", json={"text": LURE}).json()
    assert second.keys() == third.keys() == {"error"}
    assert "text" in second["error"]
    assert fourth["windows"] == 0


def test_an_empty_batch_has_no_results(client: TestClient) -> None:
    assert client.post("/v1/scan/batch", json={"messages": []}).json() == {"results": []}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"text", b"\xff\xfe", b'{"text": null}', b'{"text": 5}', b'{"message": "x"}']
    + [b"[" * 100_000, b'{"text": ["x"]}'],
    ids=lambda body: repr(body[:20]),
)
@pytest.mark.parametrize("path", ["/v1/scan", "/v1/explain", "/v1/scan/batch"])
def test_bad_input_is_told_what_to_send(client: TestClient, path: str, body: bytes) -> None:
    reply = client.post(path, content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 422
    assert "send" in str(problem(reply)["detail"])


def test_too_many_messages_are_told_the_limit(client: TestClient) -> None:
    reply = client.post("/v1/scan/batch", json={"messages": [{"text": "x"}] * 5})
    assert problem(reply)["detail"] == "5 messages; send at most 4 at a time"
    assert problem(reply)["limit"] == 4


def test_a_batch_of_too_many_characters_is_told_the_limit(client: TestClient) -> None:
    reply = client.post("/v1/scan/batch", json={"messages": [{"text": "x" * 60_000}] * 3})
    assert problem(reply)["detail"] == "the texts have 180,000 characters; send at most 150,000 at a time"


def test_too_long_a_message_is_told_the_limit_and_not_quoted(client: TestClient) -> None:
    reply = client.post("/v1/scan", json={"text": "secret " * 20_000})
    assert "send at most 100,000" in str(problem(reply)["detail"])
    assert "secret" not in reply.text
    batch = client.post("/v1/scan/batch", json={"messages": [{"text": "secret " * 20_000}, {"text": CHAT}]}).json()
    assert "send at most 100,000" in batch["results"][0]["error"]
    assert batch["results"][1]["label"] == "benign"


def test_too_large_a_body_is_refused_while_it_arrives(client: TestClient) -> None:
    def body() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100_000

    reply = client.post("/v1/scan", content=body(), headers={"content-type": "application/json"})
    assert reply.status_code == 413
    assert "1,000,000 bytes" in str(problem(reply)["detail"])


def test_hostile_text_gets_a_verdict(client: TestClient, hostile: str) -> None:
    body = json.dumps({"text": hostile})  # escapes half emoji, as phones send them
    reply = client.post("/v1/scan", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 200
    assert 0 <= reply.json()["risk"] <= 1
    batch = client.post(
        "/v1/scan/batch", content=f'{{"messages": [{body}]}}', headers={"content-type": "application/json"}
    )
    assert batch.json()["results"] == [reply.json()]


def test_many_callers_at_once_get_the_verdicts_of_one(client: TestClient, scanner: Scanner) -> None:
    texts = [f"{LURE} {number % 12}" for number in range(48)]
    expected = {text: as_json(scanner.scan(text).to_dict()) for text in texts}
    with ThreadPoolExecutor(12) as pool:
        replies = list(pool.map(lambda text: client.post("/v1/scan", json={"text": text}).json(), texts))
    assert replies == [expected[text] for text in texts]


def test_every_reply_names_request_model_and_policy(client: TestClient, scanner: Scanner) -> None:
    replies = [
        client.post("/v1/scan", json={"text": CHAT}),
        client.post("/v1/scan", json={}),
        client.get("/v1/model"),
        client.get("/healthz"),
        client.get("/nowhere"),
    ]
    assert len({reply.headers["x-request-id"] for reply in replies}) == len(replies)
    for reply in replies:
        assert reply.headers["x-ruthan-model"].startswith(f"{scanner.model}@")
        assert reply.headers["x-ruthan-policy"].startswith("default@")
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in reply.headers["content-security-policy"]


@pytest.mark.parametrize("given", ["a-1_b.C", "x" * 64])
def test_the_id_of_a_request_is_taken_over(client: TestClient, given: str) -> None:
    assert client.get("/healthz", headers={"x-request-id": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "two words", "x" * 65, 'a"b', "<script>"])
def test_an_id_that_could_harm_a_log_is_replaced(client: TestClient, given: str) -> None:
    assert client.get("/healthz", headers={"x-request-id": given}).headers["x-request-id"] != given


def test_model_and_taxonomy_say_what_answers(client: TestClient, scanner: Scanner) -> None:
    model = client.get("/v1/model").json()
    assert model["name"] == scanner.model
    assert len(model["labels"]) == 16
    assert (model["limits"]["max_batch"], model["limits"]["max_batch_explained"]) == (4, 1)
    classes = client.get("/v1/taxonomy").json()["classes"]
    assert {each["id"] for each in classes} == set(model["labels"])
    assert next(each for each in classes if each["id"] == "loan")["thai"] == "หลอกให้กู้เงิน"


def test_health_and_readiness_are_told(client: TestClient, scanner: Scanner) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "model": scanner.model}
    assert client.get("/readyz").json() == {"status": "ready", "database": "ok"}


def test_a_service_that_stops_is_not_ready(start: Start) -> None:
    client = start()
    client.app.state.service.draining = True  # type: ignore[attr-defined]
    reply = client.get("/readyz")
    assert (reply.status_code, reply.json()["status"]) == (503, "stopping")
    assert client.post("/v1/scan", json={"text": CHAT}).status_code == 200  # what still arrives is answered


def test_an_unknown_path_or_method_is_a_problem_too(client: TestClient) -> None:
    assert problem(client.get("/v2/scan"))["status"] == 404
    reply = client.get("/v1/scan")
    assert problem(reply)["status"] == 405
    assert reply.headers["allow"] == "POST"


def test_pages_of_other_origins_may_call_only_where_they_are_named(start: Start, client: TestClient) -> None:
    asked = {"Origin": "https://hotline.example", "Access-Control-Request-Method": "POST"}
    assert "access-control-allow-origin" not in client.options("/v1/scan", headers=asked).headers
    open_to = start(cors_origins=["https://hotline.example"])
    reply = open_to.options("/v1/scan", headers=asked)
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, "https://hotline.example")
    other = open_to.options("/v1/scan", headers={**asked, "Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_failure_is_a_problem_and_tells_nothing_of_the_message(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    client = start()

    async def fail(items: object, explain: bool, deadline: float) -> None:
        raise ValueError(f"cannot read {LURE}")

    monkeypatch.setattr(client.app.state.service.engine, "judge", fail)  # type: ignore[attr-defined]
    with caplog.at_level(logging.INFO):
        reply = client.post("/v1/scan", json={"text": LURE}, headers={"x-request-id": "r1"})
    assert problem(reply)["status"] == 500
    assert LURE not in reply.text
    assert "easyloan" not in caplog.text + str([record.__dict__ for record in caplog.records])
    [failed] = [record for record in caplog.records if record.message == "failed"]
    assert (failed.request_id, failed.error) == ("r1", "ValueError")  # type: ignore[attr-defined]


def test_the_log_has_a_line_a_request_and_no_text(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "serve.access"):
        client.post("/v1/scan?explain=false", json={"text": LURE}, headers={"x-request-id": "r2"})
        client.get("/v1/jobs/0123456789abcdef0123456789abcdef")
    lines = [record.__dict__ for record in caplog.records if record.message == "request"]
    assert [(line["route"], line["status"], line["method"]) for line in lines] == [
        ("/v1/scan", 200, "POST"),
        ("/v1/jobs/{id}", 404, "GET"),
    ]
    assert lines[0]["request_id"] == "r2"
    assert lines[0]["ms"] > 0
    assert "easyloan" not in str(lines)
    assert "0123456789abcdef0" not in str(lines)


def test_metrics_count_requests_and_verdicts(start: Start) -> None:
    client = start()
    for text in (LURE, LURE, CHAT):
        client.post("/v1/scan", json={"text": text})
    client.post("/v1/scan", json={})
    text = client.get("/metrics").text
    assert LURE not in text
    assert 'action="block",label="loan"' in text.replace(" ", "")
    assert 'route="/v1/scan"' in text


async def post_slowly(app: object, pause: float) -> int:
    """The status of a request whose body stops half-way for a time."""
    sent: list[dict[str, object]] = []
    pieces = iter([{"type": "http.request", "body": b'{"te', "more_body": True}])

    async def receive() -> dict[str, object]:
        piece = next(pieces, None)
        if piece is None:
            await asyncio.sleep(pause)
            return {"type": "http.request", "body": b'xt": "x"}', "more_body": False}
        return piece

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"host", b"127.0.0.1")]
    scope = {"type": "http", "method": "POST", "path": "/v1/scan", "raw_path": b"/v1/scan", "query_string": b""}
    scope |= {"headers": headers, "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8000), "scheme": "http"}
    await app(scope, receive, send)  # type: ignore[operator]
    return int(sent[0]["status"])  # type: ignore[call-overload]


def test_a_body_that_stops_arriving_is_given_up(start: Start) -> None:
    client = start(body_seconds=0.2)
    assert client.portal is not None
    assert client.portal.call(post_slowly, client.app, 5.0) == 408


def test_housekeeping_outlives_its_errors_and_the_end_is_orderly(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("serve.app.LOOK_SECONDS", 0.05)
    looks, stopped = [], []

    def follow(self: object) -> bool:
        looks.append(1)
        raise OSError

    monkeypatch.setattr("serve.engine.models.Models.follow", follow)
    settings = Settings(data_dir=tmp_path, jobs_at_once=0)
    service = open_service(settings)
    end = service.database.close
    service.database.close = lambda: (stopped.append(1), end())[1]  # type: ignore[method-assign]
    with TestClient(create_app(settings, service), base_url=LOCAL):
        time.sleep(1)
    assert len(looks) > 3
    assert stopped


@pytest.mark.parametrize("path", ["/v1/scan/", "/v1//scan", "/healthz/"])
def test_nobody_is_sent_on_to_another_address(start: Start, path: str) -> None:
    reply = start().post(path, json={"text": CHAT}, headers={"host": "127.0.0.1"}, follow_redirects=False)
    assert reply.status_code in (404, 405)
    assert reply.headers["content-type"] == "application/problem+json"


def test_a_host_that_is_none_is_refused(start: Start) -> None:
    assert start().post("/v1/scan", json={"text": CHAT}, headers={"host": "["}).status_code == 401


def test_a_caller_who_leaves_takes_his_message_off_the_queue(start: Start) -> None:
    client = start()
    given_up = []

    async def leave() -> None:
        async def judge(items: object, explain: bool, deadline: float) -> None:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                given_up.append(True)
                raise

        client.app.state.service.engine.judge = judge  # type: ignore[attr-defined]
        messages = iter([{"type": "http.request", "body": b'{"text": "x"}', "more_body": False}])

        async def receive() -> dict[str, object]:
            return next(messages, {"type": "http.disconnect"})

        async def send(message: dict[str, object]) -> None:
            pass

        scope = {"type": "http", "method": "POST", "path": "/v1/scan", "raw_path": b"/v1/scan", "query_string": b""}
        scope |= {"headers": [(b"content-type", b"application/json"), (b"host", b"127.0.0.1")]}
        scope |= {"client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8000), "scheme": "http"}
        await asyncio.wait_for(client.app(scope, receive, send), 10)  # type: ignore[operator, arg-type]

    assert client.portal is not None
    client.portal.call(leave)
    assert given_up == [True]


def test_the_openapi_document_shows_the_contract(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert {"/v1/scan", "/v1/scan/batch", "/v1/explain", "/v1/feedback", "/v1/model", "/v1/taxonomy"} <= document[
        "paths"
    ].keys()
    assert {"/v1/jobs", "/v1/jobs/{id}", "/v1/jobs/{id}/results", "/healthz", "/readyz", "/metrics"} <= document[
        "paths"
    ].keys()
    assert document["components"]["schemas"]["ScanRequest"]["properties"]["text"]["type"] == "string"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation.keys() >= {"summary", "tags"}, (method, path)
            for status, told in operation["responses"].items():
                if int(status) >= 400 and path not in ("/readyz",):
                    assert "application/problem+json" in told["content"], (method, path, status)
