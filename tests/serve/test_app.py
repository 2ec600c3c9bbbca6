import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from fastapi.testclient import TestClient

from ruthan.scanner import Scanner
from serve.app import create_app
from serve.settings import Settings, SettingsError

LURE = "คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงิน แอดไลน์ @easyloan-th"


@pytest.fixture(scope="module")
def client(scanner: Scanner) -> Iterator[TestClient]:
    settings = Settings(max_text_length=100_000, max_batch=4, max_body_bytes=1_000_000)
    with TestClient(create_app(settings, scanner), raise_server_exceptions=False) as client:
        yield client


def test_a_message_gets_the_verdict_of_the_library(client: TestClient, scanner: Scanner) -> None:
    reply = client.post("/v1/scan", json={"text": LURE})
    assert reply.status_code == 200
    assert reply.json() == json.loads(json.dumps(scanner.scan(LURE).to_dict()))


def test_an_explained_message_tells_the_words(client: TestClient, scanner: Scanner) -> None:
    assert "words" not in client.post("/v1/scan", json={"text": LURE}).json()
    reply = client.post("/v1/scan?explain=true", json={"text": LURE}).json()
    assert reply == json.loads(json.dumps(scanner.scan(LURE, explain=True).to_dict()))
    assert all(LURE[word["start"] : word["end"]] == word["text"] for word in reply["words"])
    assert {each["kind"] for each in reply["evidence"]} >= {"indicator", "signal"}
    batch = client.post("/v1/scan/batch?explain=true", json={"messages": [{"text": LURE}]})
    assert batch.json()["results"] == [reply]
    many = client.post("/v1/scan/batch?explain=true", json={"messages": [{"text": LURE}] * 2})
    assert many.json() == {"error": "2 messages; send at most 1 at a time"}


def test_an_explain_that_is_neither_true_nor_false_is_told_so(client: TestClient) -> None:
    for path, body in (("/v1/scan", {"text": "x"}), ("/v1/scan/batch", {"messages": []})):
        reply = client.post(f"{path}?explain=maybe", json=body)
        assert (reply.status_code, reply.json()) == (
            422,
            {"error": "send explain=true or explain=false, or leave it out"},
        )


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
@pytest.mark.parametrize("path", ["/v1/scan", "/v1/scan/batch"])
def test_bad_input_is_told_what_to_send(client: TestClient, path: str, body: bytes) -> None:
    reply = client.post(path, content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 422
    assert reply.json().keys() == {"error"}
    assert "send" in reply.json()["error"]


def test_too_many_messages_are_told_the_limit(client: TestClient) -> None:
    reply = client.post("/v1/scan/batch", json={"messages": [{"text": "x"}] * 5})
    assert (reply.status_code, reply.json()["error"]) == (422, "5 messages; send at most 4 at a time")


def test_too_long_a_message_is_told_the_limit_and_not_quoted(client: TestClient) -> None:
    reply = client.post("/v1/scan", json={"text": "secret " * 20_000})
    assert reply.status_code == 422
    assert "send at most 100,000" in reply.json()["error"]
    assert "secret" not in reply.text


def test_too_large_a_body_is_refused_while_it_arrives(client: TestClient) -> None:
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b" " * 100_000

    reply = client.post("/v1/scan", content=body(), headers={"content-type": "application/json"})
    assert reply.status_code == 413
    assert "1,000,000 bytes" in reply.json()["error"]


def test_hostile_text_gets_a_verdict(client: TestClient, hostile: str) -> None:
    body = json.dumps({"text": hostile})  # escapes half emoji, as phones send them
    reply = client.post("/v1/scan", content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 200
    assert 0 <= reply.json()["risk"] <= 1
    batch = client.post(
        "/v1/scan/batch", content=f'{{"messages": [{body}]}}', headers={"content-type": "application/json"}
    )
    assert batch.json()["results"] == [reply.json()]


def test_many_callers_at_once_get_the_same_verdict(client: TestClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: client.post("/v1/scan", json={"text": LURE}).json(), range(32)))
    assert all(reply == replies[0] for reply in replies)


def test_health_and_model_say_what_answers(client: TestClient, scanner: Scanner) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "model": scanner.model}
    model = client.get("/v1/model").json()
    assert model["name"] == scanner.model
    assert len(model["labels"]) == 16


def test_an_unknown_path_or_method_is_an_error_in_the_same_form(client: TestClient) -> None:
    assert client.get("/v2/scan").json().keys() == {"error"}
    assert client.get("/v1/scan").status_code == 405


def test_the_openapi_document_shows_the_contract(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    assert {"/v1/scan", "/v1/scan/batch", "/v1/model", "/healthz"} <= document["paths"].keys()
    assert document["components"]["schemas"]["ScanRequest"]["properties"]["text"]["type"] == "string"


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_environment({"RUTHAN_MAX_BATCH": "7", "RUTHAN_MODEL": "/m"})
    assert (settings.max_batch, str(settings.model), settings.max_text_length) == (7, "/m", 20_000)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "๕"])
def test_a_setting_that_is_no_number_is_named(value: str) -> None:
    with pytest.raises(SettingsError, match="RUTHAN_MAX_BATCH is"):
        Settings.from_environment({"RUTHAN_MAX_BATCH": value})
