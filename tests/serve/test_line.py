"""The LINE bot, told what LINE sends, as recorded in the documented form (developers.line.biz, Messaging API)."""

import base64
import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastapi.testclient import TestClient

from ruthan.errors import DataError
from ruthan.resources import shipped
from ruthan.scanner import Scanner
from serve import line
from serve.app import create_app, open_service
from serve.line_sentences import Sentences, default_sentences, shortened
from serve.problems import Problem
from serve.settings import Settings, SettingsError, read_settings

SECRET, TOKEN = "0123456789abcdef0123456789abcdef", "channel-token"
WEBHOOKS = Path(__file__).parent / "line_webhooks"
LURE = "คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงิน แอดไลน์ @easyloan-th"
HELD = "ช่วยด้วยค่ะ หนูถูกขังอยู่ที่ตึกในเมียวดี เขายึดพาสปอร์ตไว้ ไม่ให้ออกไปไหน อยากกลับบ้าน"


def recorded(name: str) -> bytes:
    return (WEBHOOKS / f"{name}.json").read_bytes()


def changed(name: str, **message: Any) -> bytes:
    """A recorded webhook, with another message."""
    content = json.loads(recorded(name))
    content["events"][0]["message"].update(message)
    return json.dumps(content).encode()


class LineApi:
    """Takes replies as LINE does, or not, as `statuses` say."""

    def __init__(self) -> None:
        self.url = ""
        self.taken: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.statuses: list[int] = []

    @property
    def texts(self) -> list[str]:
        return [each["messages"][0]["text"] for each in self.taken]


@pytest.fixture(scope="module")
def line_server() -> Iterator[LineApi]:
    api = LineApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            assert self.path == "/v2/bot/message/reply"
            api.tokens.append(self.headers["authorization"])
            status = api.statuses.pop(0) if api.statuses else 200
            if status == 200:
                api.taken.append(json.loads(body))
            content = b'{"sentMessages":[{"id":"461230966842064897","quoteToken":"IStG5h1Tz7b"}]}'
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *given: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        api.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield api
        server.shutdown()
        thread.join()


@pytest.fixture
def api(line_server: LineApi) -> LineApi:
    line_server.taken, line_server.tokens, line_server.statuses = [], [], []
    return line_server


@pytest.fixture(scope="module")
def bot(line_server: LineApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    yield from _started(line_server, data_dir=tmp_path_factory.mktemp("data"))


def _started(line_server: LineApi, **given: Any) -> Iterator[TestClient]:
    settings = Settings(**{"jobs_at_once": 0, "store_text": True, **given})
    app = create_app(settings, open_service(settings))
    channel = settings.model_copy(update={"line_channel_secret": _secret(SECRET), "line_channel_token": _secret(TOKEN)})
    app.include_router(line.router(channel, api=line_server.url))
    with TestClient(app, base_url="http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        yield client


def _secret(value: str) -> Any:
    return Settings(line_channel_secret=value, line_channel_token=value).line_channel_secret


_sent = iter(range(1_000_000))


def deliver(bot: TestClient, body: bytes, *, secret: str = SECRET, again: bool = False) -> Any:
    """Send a webhook as LINE does; as a new one, unless it is to be the same `again`."""
    if not again:
        content = json.loads(body)
        for event in content["events"]:
            event["webhookEventId"] = f"01KB1Q{next(_sent):020}"
        body = json.dumps(content, ensure_ascii=False).encode("utf-8", "backslashreplace")
    signature = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
    headers = {"Content-Type": "application/json; charset=utf-8", "X-Line-Signature": signature}
    return bot.post("/line/webhook", content=body, headers=headers)


# What is answered


def test_a_lure_is_answered_with_verdict_reasons_advice_and_hotline(
    bot: TestClient, api: LineApi, scanner: Scanner
) -> None:
    reply = deliver(bot, recorded("text"))
    assert (reply.status_code, reply.json()) == (200, {})
    [sent], verdict = api.taken, scanner.scan(LURE)
    assert sent["replyToken"] == "b60d432864f44d079f6d8efe86cf404b"
    [message] = sent["messages"]
    assert (message["type"], message["quoteToken"]) == ("text", "q3Plxr4AgKd1")
    assert api.tokens == [f"Bearer {TOKEN}"]
    text = message["text"]
    assert text.startswith("⚠️")
    for sentence in (*verdict.reasons, *verdict.advice):
        assert sentence in text
    assert "1441" in text


def test_an_everyday_message_shows_no_signs_and_is_not_called_safe(bot: TestClient, api: LineApi) -> None:
    deliver(bot, recorded("everyday"))
    [text] = api.texts
    assert "ไม่พบสัญญาณเตือน" in text
    assert "ไม่ใช่การรับรอง" in text
    assert "ปลอดภัย" not in text
    assert "⚠️" not in text


def test_whoever_may_be_held_gets_a_short_answer_that_tells_nothing(bot: TestClient, api: LineApi) -> None:
    for name in ("text", "group"):
        deliver(bot, changed(name, text=HELD))
    for sent in api.taken:
        [message] = sent["messages"]
        assert "1300" in message["text"]
        assert len(message["text"]) < 150
        assert "quoteToken" not in message
        for telling in ("ช่วย", "ขัง", "กักตัว", "ค้ามนุษย์", "หลอก", "หนี", "⚠️"):
            assert telling not in message["text"]
    assert len(api.taken) == 2


RANSOM = "ลูกสาวคุณอยู่กับเรา ถูกมัดขังไว้ ถ้าไม่โอน 500,000 บาทภายในวันนี้จะไม่ได้เจอกันอีก"
ASKED = "แม่ โอนค่าเทอมให้หนูหน่อย 12,000 บัญชีเดิมนะ"


def test_a_demand_for_money_for_someone_held_is_not_left_without_a_word_on_it(bot: TestClient, api: LineApi) -> None:
    deliver(bot, changed("text", text=RANSOM))
    [text] = api.texts
    assert text == f"{default_sentences()['needs_help']}\n\n{default_sentences()['hold_money']}"
    assert "อย่าเพิ่งโอน" in text


def test_who_has_paid_is_told_whom_to_call_whatever_the_message_looks_like(bot: TestClient, api: LineApi) -> None:
    deliver(bot, changed("text", text="โดนหลอกโอนเงินไปแล้วค่ะ"))
    assert "โอนเงินหรือให้รหัสไปแล้ว โทร 1441" in api.texts[0]


def test_no_link_to_a_scam_is_passed_on(bot: TestClient, api: LineApi) -> None:
    deliver(bot, changed("text", text="KBANK แจ้งเตือน บัญชีถูกระงับ ยืนยันตัวตนที่ https://kbank.go-line000.cc ด่วน"))
    [text] = api.texts
    assert "go-line000[.]cc" in text
    assert "go-line000.cc" not in text
    assert "thaipoliceonline.com" in text


def test_a_group_is_not_told_of_what_is_only_doubtful_or_may_be_somebody_in_need(
    bot: TestClient, api: LineApi, scanner: Scanner
) -> None:
    assert scanner.scan(ASKED).action == "review"
    for text in (ASKED, HELD, RANSOM):
        deliver(bot, changed("room", text=text))
    assert api.taken == []


def test_a_group_is_warned_of_the_same_text_once_in_a_while(bot: TestClient, api: LineApi) -> None:
    for number in (1, 1, 1, 2):
        deliver(bot, changed("room", text=f"{LURE} {number}"))
    assert len(api.taken) == 2


@pytest.mark.parametrize("mine", [True, False])
def test_a_member_who_calls_the_bot_by_name_is_answered(bot: TestClient, api: LineApi, mine: bool) -> None:
    mention = {"mentionees": [{"index": 0, "length": 5, "type": "user", "isSelf": mine}]}
    deliver(bot, changed("room", text="@บอต ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ", mention=mention))
    assert len(api.taken) == mine


def test_images_sent_together_are_answered_once(bot: TestClient, api: LineApi) -> None:
    for index in (1, 2, 3):
        deliver(bot, changed("sticker", type="image", imageSet={"id": "5", "index": index, "total": 3}))
    assert api.texts == [default_sentences()["no_text"]]


def test_a_group_hears_only_of_what_is_suspicious(bot: TestClient, api: LineApi) -> None:
    deliver(bot, recorded("group"))
    deliver(bot, recorded("room"))
    assert [each["replyToken"] for each in api.taken] == [
        "fbf94e269485410da6b7e3a5e33283e8",
        "6c4b1f0be4a94f7c9d6a3c1f0b2e5d48",
    ]
    assert all(text.startswith("⚠️") for text in api.texts)


def test_a_sticker_is_answered_only_where_somebody_is_alone_with_the_bot(bot: TestClient, api: LineApi) -> None:
    deliver(bot, recorded("sticker"))
    assert api.texts == [default_sentences()["no_text"]]
    content = json.loads(recorded("sticker"))
    content["events"][0]["source"] = {"type": "group", "groupId": "C" + "2c" * 16}
    deliver(bot, json.dumps(content).encode())
    assert len(api.taken) == 1


def test_friends_and_groups_are_told_what_the_bot_does(bot: TestClient, api: LineApi) -> None:
    deliver(bot, recorded("follow"))
    deliver(bot, recorded("join"))
    assert api.texts == [default_sentences()["follow"], default_sentences()["join"]]
    assert all("ไม่เก็บข้อความ" in text for text in api.texts)


@pytest.mark.parametrize("name", ["verification", "unsend", "unfollow", "standby"])
def test_what_wants_no_answer_gets_none(bot: TestClient, api: LineApi, name: str) -> None:
    assert deliver(bot, recorded(name)).status_code == 200
    assert api.taken == []


def test_the_channel_of_the_policy_is_chat_in_groups_and_forward_alone(
    line_server: LineApi, api: LineApi, tmp_path: Path
) -> None:
    policy = tmp_path / "groups.yaml"
    policy.write_text("name: groups\nreview: 1\nblock: 1\nchannels: {chat: {review: 0, block: 0}}\n", "utf-8")
    for bot in _started(line_server, data_dir=tmp_path / "data", policy=policy):
        deliver(bot, changed("room", text="สวัสดี"))
        deliver(bot, changed("text", text="สวัสดี"))
    assert [text.startswith("⚠️") for text in api.texts] == [True, False]


# What LINE delivers twice


def test_a_redelivered_event_is_answered_once(bot: TestClient, api: LineApi) -> None:
    for name in ("text", "redelivery", "redelivery"):
        assert deliver(bot, recorded(name), again=True).status_code == 200
    assert len(api.taken) == 1


def test_an_event_that_comes_twice_at_once_is_answered_once_and_odd_ids_do_no_harm(
    bot: TestClient, api: LineApi
) -> None:
    content = json.loads(recorded("text"))
    content["events"][0]["webhookEventId"] = f"01KB1Q{next(_sent):020}"
    content["events"] = content["events"] * 2 + [content["events"][0] | {"webhookEventId": "\ud83d"}]
    assert deliver(bot, json.dumps(content).encode(), again=True).status_code == 200
    assert len(api.taken) == 2


def test_a_redelivered_event_that_never_arrived_is_answered(bot: TestClient, api: LineApi) -> None:
    content = json.loads(recorded("redelivery"))
    content["events"][0]["webhookEventId"] = "01KB1QNEVER000000000000001"
    deliver(bot, json.dumps(content).encode(), again=True)
    assert len(api.taken) == 1


def test_events_without_an_id_are_told_apart_by_their_token(bot: TestClient, api: LineApi) -> None:
    for token in ("one", "two", "two"):
        content = json.loads(recorded("text"))
        del content["events"][0]["webhookEventId"]
        content["events"][0]["replyToken"] = token
        deliver(bot, json.dumps(content).encode(), again=True)
    assert [each["replyToken"] for each in api.taken] == ["one", "two"]


def test_events_are_remembered_on_every_database_and_forgotten_after_a_day(
    line_server: LineApi, api: LineApi, tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, kept, answered in (("text", 60.0, 1), ("redelivery", 60.0, 1), ("redelivery", -1.0, 2)):
        monkeypatch.setattr(line, "KEPT_SECONDS", kept)
        for bot in _started(line_server, data_dir=tmp_path, database_url=database_url):  # another worker each time
            deliver(bot, recorded(name), again=True)
        assert len(api.taken) == answered


def test_without_its_database_the_bot_goes_on(
    line_server: LineApi, api: LineApi, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def away(work: object) -> None:
        raise Problem("storage-unavailable", "away")

    for bot in _started(line_server, data_dir=tmp_path):
        bot.app.state.service.database.run = away  # type: ignore[attr-defined]
        for _ in range(2):  # LINE may deliver anew, and then the worker knows by itself
            assert deliver(bot, recorded("redelivery"), again=True).status_code == 200
    assert len(api.taken) == 1
    assert "not remembered" in caplog.text


# Whom it believes


@pytest.mark.parametrize("secret", ["", "another", SECRET[:-1]])
def test_what_line_did_not_sign_is_refused(bot: TestClient, api: LineApi, secret: str) -> None:
    reply = deliver(bot, recorded("text"), secret=secret)
    assert reply.status_code == 401
    assert "X-Line-Signature" in reply.json()["detail"]
    assert api.taken == []


@pytest.mark.parametrize("signature", [None, "", "x", "=" * 44, "ก"])
def test_a_webhook_without_a_signature_is_refused(bot: TestClient, api: LineApi, signature: str | None) -> None:
    headers = {} if signature is None else {"X-Line-Signature": signature.encode()}
    reply = bot.post("/line/webhook", content=recorded("text"), headers=headers)
    assert (reply.status_code, api.taken) == (401, [])


def test_a_body_changed_on_its_way_is_refused(bot: TestClient, api: LineApi) -> None:
    body = recorded("text")
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
    reply = bot.post("/line/webhook", content=body + b" ", headers={"X-Line-Signature": signature})
    assert (reply.status_code, api.taken) == (401, [])


def test_the_signature_is_the_one_that_line_documents() -> None:
    # The recipe of the documentation: Base64 of HMAC-SHA256 of the body, by the channel secret.
    body = b'{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}'
    assert line.signed(body, "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs=", b"8c570fa6dd201bb328f1c1eac23a96d8")


def test_secrets_copied_with_a_new_line_are_taken_and_others_told_of() -> None:
    settings = read_settings(
        {"RUTHAN_LINE_CHANNEL_SECRET": f"{SECRET}\n", "RUTHAN_LINE_CHANNEL_TOKEN": f" {TOKEN}\r\n"}
    )
    assert settings.line_channel_secret is not None
    assert settings.line_channel_token is not None
    assert settings.line_channel_secret.get_secret_value() == SECRET
    assert settings.line_channel_token.get_secret_value() == TOKEN
    with pytest.raises(SettingsError, match="RUTHAN_LINE_CHANNEL_TOKEN is not usable") as error:
        read_settings({"RUTHAN_LINE_CHANNEL_SECRET": SECRET, "RUTHAN_LINE_CHANNEL_TOKEN": "hush hush"})
    assert "hush" not in str(error.value)


def test_without_a_secret_there_is_no_bot() -> None:
    with pytest.raises(SettingsError, match="RUTHAN_LINE_CHANNEL_SECRET"):
        line.router(Settings())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b'{"events": 5}', b"\xff", b"[" * 100_000], ids=lambda body: repr(body[:12])
)
def test_a_signed_body_that_is_no_webhook_is_told_so(bot: TestClient, body: bytes) -> None:
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
    reply = bot.post("/line/webhook", content=body, headers={"X-Line-Signature": signature})
    assert (reply.status_code, reply.json()["type"]) == (422, "urn:ruthan:problem:bad-request")


@pytest.mark.parametrize(
    "event",
    [
        5,
        {},
        {"type": "message", "mode": "active"},
        {"type": "message", "mode": "active", "replyToken": "t"},
        {"type": "message", "mode": "active", "replyToken": "t", "message": "x", "source": []},
        {"type": "message", "mode": "active", "replyToken": "t", "message": {"type": "text", "text": 5}},
        {"type": ["message"], "mode": "active", "replyToken": "t"},
        {"type": "message", "mode": "active", "replyToken": "t", "webhookEventId": {"x": 1}},
    ],
    ids=repr,
)
def test_events_of_another_form_are_passed_over(bot: TestClient, api: LineApi, event: Any) -> None:
    body = json.dumps({"destination": "U", "events": [event, json.loads(recorded("text"))["events"][0]]}).encode()
    content = json.loads(body)
    content["events"][1]["webhookEventId"] = f"01KB1Q{next(_sent):020}"
    assert deliver(bot, json.dumps(content).encode(), again=True).status_code == 200
    assert api.texts[-1].startswith("⚠️")
    assert len(api.taken) == 1


# What goes wrong


def test_a_reply_that_line_cannot_take_yet_is_handed_over_again(
    bot: TestClient, api: LineApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "ATTEMPTS", 2)
    api.statuses = [500]
    deliver(bot, recorded("text"))
    assert (len(api.tokens), len(api.taken)) == (2, 1)


def test_a_token_that_has_run_out_is_left(bot: TestClient, api: LineApi, caplog: pytest.LogCaptureFixture) -> None:
    api.statuses = [400]
    assert deliver(bot, recorded("text")).status_code == 200
    assert len(api.tokens) == 1
    assert "not taken by LINE" in caplog.text


def test_a_service_that_is_busy_says_so_to_one_and_nothing_to_a_group(
    line_server: LineApi, api: LineApi, tmp_path: Path
) -> None:
    for bot in _started(line_server, data_dir=tmp_path, deadline_seconds=1e-6, cache_bytes=0):
        deliver(bot, recorded("text"))
        deliver(bot, recorded("room"))
    assert api.texts == [default_sentences()["busy"]]


def test_a_text_that_is_too_long_is_told_so(bot: TestClient, api: LineApi) -> None:
    deliver(bot, changed("text", text="ก" * 20_001))
    assert api.texts == [default_sentences()["too_long"]]


def test_half_an_emoji_does_not_cost_the_reply(bot: TestClient, api: LineApi) -> None:
    deliver(bot, changed("text", text=f"{LURE} ด่\ud83dวน โu\ud83dนัa \ud83d"))
    assert api.texts[0].startswith("⚠️")


def test_no_text_is_kept_or_logged(bot: TestClient, api: LineApi, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    api.statuses = [400]
    deliver(bot, changed("text", text=f"{LURE} ความลับ"))
    bot.app.state.service.texts.stop()  # type: ignore[attr-defined]
    bot.app.state.service.texts.start()  # type: ignore[attr-defined]
    for each in caplog.records:
        assert "ความลับ" not in f"{each.getMessage()} {vars(each)}"
        assert TOKEN not in each.getMessage()
    with bot.app.state.service.database.session() as session:  # type: ignore[attr-defined]
        from serve.storage.tables import StoredText

        assert session.query(StoredText).all() == []


# Its sentences


def test_no_sentence_calls_a_message_safe_and_all_name_known_hotlines() -> None:
    content = yaml.safe_load(shipped("data", "line_replies.yaml").read_text("utf-8"))
    for name, sentence in content.items():
        assert "ปลอดภัย" not in str(sentence), name
    assert {name for name in content if name != "checked"} == default_sentences()._said.keys()


@pytest.mark.parametrize(
    ("change", "told"),
    [({"busy": None}, "no sentence busy"), ({"footer": "โทร {9999}"}, "9999, which is no hotline")],
)
def test_a_file_of_sentences_that_lacks_something_is_refused(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    content = yaml.safe_load(shipped("data", "line_replies.yaml").read_text("utf-8"))
    path = tmp_path / "replies.yaml"
    path.write_text(yaml.safe_dump({**content, **change}, allow_unicode=True), "utf-8")
    with pytest.raises(DataError, match=told):
        Sentences(path)


@pytest.mark.parametrize("text", ["ก" * 5_001, "😀" * 2_501, "ก" * 4_999 + "😀" + "ก", "\ud83d" * 6_000])
def test_a_reply_is_never_longer_than_line_takes(text: str) -> None:
    short = shortened(text)
    assert len(short.encode("utf-16-le")) <= 2 * 5_000
    assert short.endswith("…")
    assert shortened("ก" * 5_000) == "ก" * 5_000


def test_the_webhook_is_in_the_openapi_document(bot: TestClient) -> None:
    operation = bot.get("/openapi.json").json()["paths"]["/line/webhook"]["post"]
    assert operation["requestBody"]["content"]["application/json"]["example"]["events"]
    assert {"200", "401", "422"} <= operation["responses"].keys()
