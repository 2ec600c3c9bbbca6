import json
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from serve.engine.answer import digest_of

LURE = "คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงิน โทร 081-234-5678"

Start = Callable[..., TestClient]


def test_feedback_is_kept_and_answered(start: Start) -> None:
    client = start()
    given = {
        "text": LURE,
        "verdict": {"risk": 0.2, "label": "benign", "action": "allow", "model": "m", "policy": "p"},
        "label": "loan",
        "lang": "th",
        "channel": "sms",
        "reviewer": "ผู้ตรวจ-07",
        "comment": "ลวงให้โอนค่าค้ำประกัน",
    }
    reply = client.post("/v1/feedback", json=given)
    assert reply.status_code == 201
    content = reply.json()
    assert content.pop("id")
    assert content == {
        "message_id": digest_of(LURE)[:16],
        "state": "quarantined",
        "replaced": False,
        "near": 0,
        "conflict": False,
    }
    again = client.post("/v1/feedback", json={**given, "label": "prize"})
    assert (again.status_code, again.json()["replaced"]) == (200, True)
    other = client.post("/v1/feedback", json={**given, "reviewer": "ผู้ตรวจ-08"})
    assert (other.status_code, other.json()["near"], other.json()["conflict"]) == (201, 1, True)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"label": "loan"}, "name the message"),
        ({"label": "nosuch", "text": "x"}, "field label: value error, one of trafficking"),
        ({"label": "loan", "text": 5}, "field text"),
        ({"label": "loan", "text_digest": "XYZ"}, "field text_digest"),
        ({"label": "loan", "message_id": "0" * 15}, "field message_id"),
        ({"label": "loan", "text": "x", "comment": "x" * 1_001}, "field comment"),
        ({"label": "loan", "text": "x", "verdict": {"risk": 2}}, "field verdict.risk"),
        ({"label": "loan", "text": "x" * 20_001}, "at most 20,000"),
        ([], "JSON object"),
    ],
)
def test_feedback_that_cannot_be_taken_is_told_what_to_send(start: Start, given: object, told: str) -> None:
    reply = start().post("/v1/feedback", json=given)
    assert reply.status_code == 422
    assert told in reply.json()["detail"]


def test_the_examples_of_the_document_are_taken(start: Start) -> None:
    client = start()
    examples = client.get("/openapi.json").json()["components"]["schemas"]["FeedbackRequest"]["examples"]
    assert any("ก" <= letter <= "๛" for letter in str(examples))
    assert [client.post("/v1/feedback", json=each).status_code for each in examples] == [201, 201]


def test_one_key_cannot_flood_the_quarantine(start: Start, make_key: Callable[..., str]) -> None:
    client = start(feedback_per_key=2)
    service = client.app.state.service  # type: ignore[attr-defined]
    one, other = ({"Authorization": f"Bearer {make_key(service, 'feedback')}"} for _ in range(2))
    given = [{"message_id": f"{number:016x}", "label": "loan"} for number in range(3)]
    replies = [client.post("/v1/feedback", json=each, headers=one) for each in given]
    assert [reply.status_code for reply in replies] == [201, 201, 429]
    assert 86_000 < int(replies[2].headers["retry-after"]) <= 86_400
    assert client.post("/v1/feedback", json=given[2], headers=other).status_code == 201


def test_half_an_emoji_can_be_reported(start: Start) -> None:
    body = json.dumps({"text": "โอน\ud83dด่วน", "label": "loan"})
    reply = start().post("/v1/feedback", content=body, headers={"content-type": "application/json"})
    assert reply.json()["message_id"] == digest_of("โอน\ud83dด่วน")[:16]


def test_a_message_is_erased_by_its_digest(start: Start, make_key: Callable[..., str]) -> None:
    client = start(store_text=True, mask_stored_text=False)
    service = client.app.state.service  # type: ignore[attr-defined]
    client.post("/v1/feedback", json={"text": LURE, "label": "loan"})
    assert client.delete(f"/v1/texts/{digest_of(LURE)}").status_code == 403
    headers = {"Authorization": f"Bearer {make_key(service, 'admin', 'scan')}"}
    assert client.post("/v1/scan", json={"text": LURE}, headers=headers).status_code == 200
    assert client.delete(f"/v1/texts/{digest_of(LURE)}", headers=headers).json()["texts"] >= 1
    assert client.delete(f"/v1/texts/{digest_of(LURE)}", headers=headers).json() == {"texts": 0}
    assert client.delete("/v1/texts/xyz", headers=headers).status_code == 422
