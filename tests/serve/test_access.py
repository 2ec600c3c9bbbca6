import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from limits.storage import MemoryStorage

from serve.access import OPEN, OPEN_SCOPES, Access, Caller, check_may_listen, is_loopback, place_of
from serve.problems import Problem
from serve.settings import Settings, SettingsError
from serve.storage import keys, migrate
from serve.storage.database import Database

Start = Callable[..., TestClient]
TEXT = {"text": "สวัสดีครับ"}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def kind(reply: object) -> str:
    return str(reply.json()["type"]).removeprefix("urn:ruthan:problem:")  # type: ignore[attr-defined]


def test_a_first_try_on_this_machine_needs_no_key_but_for_administration(start: Start) -> None:
    client = start()
    assert client.post("/v1/scan", json=TEXT).status_code == 200
    assert client.get("/v1/jobs").status_code == 200
    assert client.get("/metrics").status_code == 200
    reply = client.post("/v1/admin/model", json={"model": "ruthan-e5s"})
    assert (reply.status_code, kind(reply)) == (403, "scope-missing")


@pytest.mark.parametrize("host", ["evil.example", "192.168.1.5:8000", "", "127.0.0.1.evil.example"])
def test_without_a_key_a_page_cannot_come_in_by_another_name(start: Start, host: str) -> None:
    reply = start().post("/v1/scan", json=TEXT, headers={"host": host})
    assert (reply.status_code, kind(reply)) == (401, "key-missing")


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:9", "[::1]:8000"])
def test_all_names_of_this_machine_are_its_own(start: Start, host: str) -> None:
    assert start().post("/v1/scan", json=TEXT, headers={"host": host}).status_code == 200


def test_without_a_key_pages_of_other_origins_are_refused_unless_named(start: Start) -> None:
    headers = {"Origin": "https://evil.example"}
    assert start().post("/v1/scan", json=TEXT, headers=headers).status_code == 401
    assert start(cors_origins=["https://evil.example"]).post("/v1/scan", json=TEXT, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.0.0.1:8000", 200), ("http://127.0.0.1:3000", 401), ("null", 401)],
    ids=["its own", "of another server on this machine", "of no place"],
)
def test_without_a_key_only_pages_of_the_service_itself_may_call(start: Start, origin: str, status: int) -> None:
    assert start().post("/v1/scan", json=TEXT, headers={"Origin": origin}).status_code == status


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_whom_a_proxy_on_this_machine_lets_in_needs_a_key(start: Start, header: str) -> None:
    reply = start().post("/v1/scan", json=TEXT, headers={header: "203.0.113.9"})
    assert (reply.status_code, kind(reply)) == (401, "key-missing")


def test_once_there_is_a_key_everyone_needs_one(start: Start, make_key: Callable[..., str]) -> None:
    client = start()
    key = make_key(client.app.state.service, "scan")  # type: ignore[attr-defined]
    assert client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code == 200
    reply = client.post("/v1/scan", json=TEXT)
    assert (reply.status_code, kind(reply)) == (401, "key-missing")
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200


def test_a_key_opens_what_its_scopes_say(start: Start, make_key: Callable[..., str]) -> None:
    client = start()
    key = make_key(client.app.state.service, "feedback")  # type: ignore[attr-defined]
    reply = client.post("/v1/scan", json=TEXT, headers=bearer(key))
    assert (reply.status_code, kind(reply)) == (403, "scope-missing")
    assert "scope scan" in reply.json()["detail"]
    given = {"message_id": "0" * 16, "label": "loan"}
    assert client.post("/v1/feedback", json=given, headers=bearer(key)).status_code == 201
    assert client.get("/metrics", headers=bearer(key)).status_code == 403
    assert client.get("/metrics").status_code == 401


def test_metrics_can_be_opened(start: Start) -> None:
    assert start(require_keys=True, metrics_open=True).get("/metrics").status_code == 200


@pytest.mark.parametrize(
    "header",
    ["Bearer x", "Bearer rtk_00000000_" + "A" * 43, "Basic dTpw", "Bearer ", "rtk_1", "Bearer " + "x" * 5_000],
    ids=["short", "well formed", "basic", "empty", "no scheme", "long"],
)
def test_a_wrong_key_is_refused_and_not_quoted(start: Start, header: str) -> None:
    reply = start(require_keys=True).post("/v1/scan", json=TEXT, headers={"Authorization": header})
    assert reply.status_code == 401
    assert "rtk_0" not in reply.text
    assert "AAAA" not in reply.text


def test_a_key_whose_end_was_tampered_with_is_refused(start: Start, make_key: Callable[..., str]) -> None:
    client = start()
    key = make_key(client.app.state.service, "scan")  # type: ignore[attr-defined]
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert client.post("/v1/scan", json=TEXT, headers=bearer(wrong)).status_code == 401
    assert client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code == 200


def test_an_expired_key_is_refused(start: Start, make_key: Callable[..., str]) -> None:
    client = start()
    key = make_key(client.app.state.service, "scan", expires_at=time.time() + 0.5)  # type: ignore[attr-defined]
    assert client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code == 200
    time.sleep(0.6)
    assert kind(client.post("/v1/scan", json=TEXT, headers=bearer(key))) == "key-unknown"


def test_a_revoked_key_is_refused_within_seconds(
    start: Start, make_key: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.access.FRESH_SECONDS", 0.3)
    client = start()
    service = client.app.state.service  # type: ignore[attr-defined]
    key = make_key(service, "scan")
    assert client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code == 200
    with service.database.session() as session:
        keys.revoke(session, key.split("_")[1])
    time.sleep(0.4)
    assert kind(client.post("/v1/scan", json=TEXT, headers=bearer(key))) == "key-unknown"


def test_a_rotated_key_and_the_new_one_are_both_good_for_a_time(start: Start, make_key: Callable[..., str]) -> None:
    client = start()
    service = client.app.state.service  # type: ignore[attr-defined]
    old = make_key(service, "scan")
    with service.database.session() as session:
        new = keys.rotate(session, old.split("_")[1], 0.5)[1]
    replies = [client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code for key in (old, new)]
    assert replies == [200, 200]
    time.sleep(0.6)
    replies = [client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code for key in (old, new)]
    assert replies == [401, 200]


def test_a_rotated_key_and_the_new_one_share_jobs_and_rates(start: Start, make_key: Callable[..., str]) -> None:
    client = start()
    service = client.app.state.service  # type: ignore[attr-defined]
    old = make_key(service, "scan", "jobs", rate=2)
    job = client.post("/v1/jobs", content=b'{"text": "x"}', headers=bearer(old)).json()
    with service.database.session() as session:
        new = keys.rotate(session, old.split("_")[1], 60)[1]
    assert client.get(f"/v1/jobs/{job['id']}", headers=bearer(new)).status_code == 200
    replies = [client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code for key in (old, new, old)]
    assert replies == [200, 200, 429]


def test_a_key_is_in_no_log_no_error_and_no_object_as_it_is_shown(
    start: Start, make_key: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    client = start(require_keys=True)
    service = client.app.state.service  # type: ignore[attr-defined]
    key = make_key(service, "scan")
    digest, wrong = keys.digest_of(key), key[:-4] + "AAAA"
    replies = [client.post("/v1/scan", json=TEXT, headers=bearer(each)).text for each in (key, wrong)]
    replies += [client.post("/v1/feedback", json={}, headers=bearer(key)).text]
    with service.database.session() as session:
        row = keys.every(session)[0]
    shown = [caplog.text, *replies, *(repr(record.__dict__) for record in caplog.records), repr(row), repr(service)]
    for secret in (key, key.split("_", 2)[2], wrong.split("_", 2)[2], digest):
        assert not any(secret in each for each in shown)
    assert any(row.id in repr(record.__dict__) for record in caplog.records)  # by its id a caller can be found


def test_a_key_may_send_so_many_messages_a_minute(start: Start, make_key: Callable[..., str]) -> None:
    client = start()
    service = client.app.state.service  # type: ignore[attr-defined]
    one, other = make_key(service, "scan", rate=5), make_key(service, "scan")
    for _ in range(3):
        assert client.post("/v1/scan", json=TEXT, headers=bearer(one)).status_code == 200
    batch = {"messages": [TEXT] * 3}
    reply = client.post("/v1/scan/batch", json=batch, headers=bearer(one))
    assert (reply.status_code, kind(reply)) == (429, "rate-limited")
    assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert client.post("/v1/scan/batch", json=batch, headers=bearer(other)).status_code == 200
    never = client.post("/v1/scan/batch", json={"messages": [TEXT] * 6}, headers=bearer(one))
    assert "send fewer at a time" in never.json()["detail"]


def test_an_address_may_send_so_many_messages_a_minute(start: Start) -> None:
    client = start(rate_per_address=2)
    replies = [client.post("/v1/scan", json=TEXT) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert 1 <= int(replies[2].headers["retry-after"]) <= 60


def test_addresses_are_counted_each_and_ipv6_ones_by_their_network(tmp_path: Path) -> None:
    access = Access(Settings(data_dir=tmp_path, rate_per_address=1), Database("sqlite://"))

    def may(address: str) -> bool:
        try:
            access.spend(Caller(OPEN, None, OPEN_SCOPES, None, place_of(address)))
        except Problem:
            return False
        return True

    assert [may(each) for each in ("203.0.113.1", "203.0.113.2", "203.0.113.1")] == [True, True, False]
    assert [may(each) for each in ("2001:db8::1", "2001:db8::ffff", "2001:db8:0:1::1")] == [True, False, True]
    assert not may("::ffff:203.0.113.1")


class Away(MemoryStorage):
    """A common place for rates that cannot be reached."""

    STORAGE_SCHEME = ["away"]  # noqa: RUF012  # read by the library
    base_exceptions = ConnectionError

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        raise ConnectionError("redis://:secret@away")


def test_rates_are_kept_while_the_common_place_for_them_cannot_be_reached(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    client = start(rate_storage="away://", rate_per_address=2)
    assert [client.post("/v1/scan", json=TEXT).status_code for _ in range(3)] == [200, 200, 429]
    assert "rates are counted by each worker: ConnectionError" in caplog.text
    assert "secret" not in caplog.text


def test_an_address_may_not_try_keys_without_end(start: Start) -> None:
    client = start(require_keys=True, failures_per_address=3)
    replies = [client.get("/v1/model", headers=bearer(f"rtk_0000000{number}_{'A' * 43}")) for number in range(5)]
    assert [reply.status_code for reply in replies] == [401, 401, 401, 429, 429]
    assert replies[4].headers["retry-after"]


def test_whoever_tries_keys_does_not_disturb_those_that_are_known(
    start: Start, make_key: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.access.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("serve.access.KNOWN_KEYS", 2)
    client = start(failures_per_address=3)
    service = client.app.state.service  # type: ignore[attr-defined]
    key, unseen = make_key(service, "scan"), make_key(service, "scan")
    assert client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code == 200
    for number in range(5):
        client.get("/v1/model", headers=bearer(f"rtk_0000000{number}_{'A' * 43}"))
    assert client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code == 200
    # What was not seen before is not looked for either, or the address could go on trying.
    assert client.post("/v1/scan", json=TEXT, headers=bearer(unseen)).status_code == 429


def test_keys_seen_before_go_on_while_the_database_is_away(
    start: Start, make_key: Callable[..., str], postgres: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.access.FRESH_SECONDS", 0.0)
    client = start(database_url=postgres.make(f"keys_{time.time_ns()}"))  # type: ignore[attr-defined]
    service = client.app.state.service  # type: ignore[attr-defined]
    key, unseen = make_key(service, "scan", "feedback"), make_key(service, "scan")
    assert client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code == 200
    postgres.stop()  # type: ignore[attr-defined]
    try:
        assert client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code == 200
        reply = client.post("/v1/scan", json=TEXT, headers=bearer(unseen))
        assert (reply.status_code, kind(reply)) == (503, "storage-unavailable")
        given = {"message_id": "0" * 16, "label": "loan"}
        reply = client.post("/v1/feedback", json=given, headers=bearer(key))
        assert (reply.status_code, kind(reply)) == (503, "storage-unavailable")
        assert reply.headers["retry-after"]
    finally:
        postgres.start()  # type: ignore[attr-defined]
    assert client.post("/v1/scan", json=TEXT, headers=bearer(unseen)).status_code == 200
    assert client.post("/v1/feedback", json=given, headers=bearer(key)).status_code == 201


def test_a_database_that_does_not_answer_is_not_asked_for_known_keys_for_some_minutes(
    start: Start, make_key: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve.access.FRESH_SECONDS", 0.0)
    client = start()
    service = client.app.state.service  # type: ignore[attr-defined]
    key = make_key(service, "scan")
    assert client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code == 200
    with service.database.session() as session:
        keys.revoke(session, key.split("_")[1])
    service.database_reachable = False
    assert client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code == 200
    monkeypatch.setattr("serve.access.AWAY_SECONDS", 0.0)
    assert client.post("/v1/scan", json=TEXT, headers=bearer(key)).status_code == 401


def test_others_can_reach_the_service_only_when_there_is_a_key(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, host="0.0.0.0")
    database = Database(settings.database)
    migrate.upgrade(database)
    with pytest.raises(SettingsError, match="ruthan-serve keys create NAME --scope scan"):
        check_may_listen(settings, database)
    check_may_listen(settings.model_copy(update={"host": "127.0.0.1"}), database)
    with database.session() as session:
        keys.create(session, "x", ["scan"])
    check_may_listen(settings, database)
    database.close()


def test_loopback_is_told_from_what_others_can_reach() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "10.0.0.1", "example.com", "", "127.0.0.1.example.com")))


def test_a_place_to_count_rates_in_that_there_is_not_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="RUTHAN_RATE_STORAGE cannot be used") as error:
        Access(Settings(data_dir=tmp_path, rate_storage="nosuch://:hushhush@x"), None)  # type: ignore[arg-type]
    assert "hushhush" not in str(error.value)
