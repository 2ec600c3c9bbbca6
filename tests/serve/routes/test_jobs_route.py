import io
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zipfile import ZipFile

import pytest
from fastapi.testclient import TestClient

from ruthan.batch.run import Job, Watch, run
from ruthan.scanner import Scanner
from serve.jobs import files
from serve.jobs.results import FORMS
from serve.storage.database import Database
from serve.storage.tables import Job as JobRow

SAMPLES = Path(__file__).parents[3] / "data/samples"
CHATS = (SAMPLES / "chats.jsonl").read_bytes()

Start = Callable[..., TestClient]
Serve = Callable[..., Any]


def folders(client: TestClient) -> list[Path]:
    """What lies in the folder of jobs."""
    folder = client.app.state.service.runner.files.root  # type: ignore[attr-defined]
    return list(folder.iterdir()) if folder.exists() else []


def nothing_left(folder: Path) -> bool:
    end = time.monotonic() + 10
    while folder.exists() and list(folder.iterdir()):
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def done(client: TestClient, job: dict[str, object], **headers: str) -> dict[str, object]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        seen: dict[str, object] = client.get(f"/v1/jobs/{job['id']}", headers=headers).json()
        if seen["state"] in ("done", "failed"):
            return seen
        time.sleep(0.05)
    raise AssertionError("not done")


def test_a_dump_is_uploaded_scanned_and_its_results_fetched_in_every_form(start: Start, tmp_path: Path) -> None:
    client = start(jobs_at_once=1)
    reply = client.post("/v1/jobs?name=แชท.jsonl", content=CHATS)
    assert reply.status_code == 202
    assert reply.headers["location"] == f"/v1/jobs/{reply.json()['id']}"
    job = done(client, reply.json())
    assert (job["state"], job["error"], job["name"]) == ("done", None, "แชท.jsonl")
    assert job["progress"]["messages"] == 16  # type: ignore[index]
    assert job["results"] == f"/v1/jobs/{job['id']}/results"
    for form in FORMS:
        got = client.get(f"/v1/jobs/{job['id']}/results?format={form}")
        assert got.status_code == 200, (form, got.text)
        assert (
            FORMS[form].file in got.headers["content-disposition"] or "filename*" in got.headers["content-disposition"]
        )
    rows = client.get(f"/v1/jobs/{job['id']}/results").text.splitlines()
    assert json.loads(rows[0])["source"] == {"file": "แชท.jsonl", "line": 1}
    (tmp_path / "x.sqlite").write_bytes(client.get(f"/v1/jobs/{job['id']}/results?format=sqlite").content)
    database = sqlite3.connect(tmp_path / "x.sqlite")
    assert database.execute("SELECT count(*) FROM verdicts").fetchone() == (16,)
    database.close()
    assert client.get("/v1/jobs").json()["jobs"] == [job]
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    assert client.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert client.get("/v1/jobs").json() == {"jobs": []}
    assert list((client.app.state.service.settings.data_dir / "jobs").iterdir()) == []  # type: ignore[attr-defined]


def test_a_packed_dump_and_other_encodings_are_read(start: Start) -> None:
    client = start(jobs_at_once=1)
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.write(SAMPLES / "inbox-cp874.csv", "inbox.csv")
        archive.write(SAMPLES / "chats.jsonl", "chats.jsonl")
    job = done(client, client.post("/v1/jobs?name=both.zip", content=packed.getvalue()).json())
    assert job["progress"]["messages"] == 30  # type: ignore[index]
    assert len(job["progress"]["files"]) == 2  # type: ignore[index]


def test_results_are_told_to_wait_for(start: Start) -> None:
    client = start()
    job = client.post("/v1/jobs", content=CHATS).json()
    reply = client.get(f"/v1/jobs/{job['id']}/results")
    assert (reply.status_code, reply.json()["state"]) == (409, "queued")
    assert reply.headers["retry-after"]
    assert client.get(f"/v1/jobs/{job['id']}/results?format=pdf").status_code == 422


def test_the_same_upload_sent_twice_is_one_job(start: Start) -> None:
    client = start()
    headers = {"Idempotency-Key": "upload-1"}
    first = client.post("/v1/jobs", content=CHATS, headers=headers)
    second = client.post("/v1/jobs", content=CHATS, headers=headers)
    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json()["id"] == second.json()["id"]
    assert second.headers["location"] == first.headers["location"]
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1
    assert len(folders(client)) == 1


def slowly(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), 1_000):
        time.sleep(0.01)
        yield content[start : start + 1_000]


def test_the_same_upload_sent_twice_at_the_same_time_is_one_job(start: Start) -> None:
    client = start()

    def send(_: int) -> int:
        return client.post("/v1/jobs", content=slowly(CHATS), headers={"Idempotency-Key": "upload-1"}).status_code

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(send, range(4)))
    assert sorted(statuses) == [200, 200, 200, 202]
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1
    assert len(folders(client)) == 1


@pytest.mark.parametrize(("query", "content"), [("?name=b.jsonl", CHATS), ("?mask=true", CHATS), ("", CHATS * 2)])
def test_a_key_that_came_with_another_upload_is_refused(start: Start, query: str, content: bytes) -> None:
    client = start()
    headers = {"Idempotency-Key": "upload-1"}
    client.post("/v1/jobs", content=CHATS, headers=headers)
    reply = client.post(f"/v1/jobs{query}", content=content, headers=headers)
    assert (reply.status_code, reply.json()["type"]) == (409, "urn:ruthan:problem:conflict")
    assert "use a new one" in reply.json()["detail"]
    assert len(folders(client)) == 1


def test_a_key_can_be_used_again_when_its_job_was_deleted(start: Start) -> None:
    client = start()
    headers = {"Idempotency-Key": "upload-1"}
    first = client.post("/v1/jobs", content=CHATS, headers=headers).json()
    client.delete(f"/v1/jobs/{first['id']}")
    assert client.post("/v1/jobs", content=CHATS, headers=headers).status_code == 202


def test_results_are_those_of_the_command_line(start: Start, scanner: Scanner, tmp_path: Path) -> None:
    client = start(jobs_at_once=1)
    job = done(client, client.post("/v1/jobs?name=chats.jsonl", content=CHATS).json())
    run(scanner, Job(paths=[str(SAMPLES / "chats.jsonl")], out=tmp_path / "own"), Watch())
    for form, file in (("jsonl", "verdicts.jsonl"), ("campaigns", "campaigns.jsonl"), ("indicators", "indicators.csv")):
        got = client.get(f"/v1/jobs/{job['id']}/results?format={form}").content
        own = (tmp_path / "own" / file).read_bytes()
        assert got == own.replace(str(SAMPLES).encode() + b"/", b"")


def test_a_form_that_is_not_written_here_is_refused(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client = start(jobs_at_once=1)
    job = done(client, client.post("/v1/jobs", content=CHATS).json())
    monkeypatch.setitem(sys.modules, "duckdb", None)
    reply = client.get(f"/v1/jobs/{job['id']}/results?format=duckdb")
    assert (reply.status_code, reply.json()["type"]) == (403, "urn:ruthan:problem:not-allowed")


def test_results_that_are_gone_are_told(start: Start) -> None:
    client = start(jobs_at_once=1)
    job = done(client, client.post("/v1/jobs", content=CHATS).json())
    shutil.rmtree(client.app.state.service.runner.files.results(job["id"]))  # type: ignore[attr-defined]
    for form in ("jsonl", "csv", "report"):
        reply = client.get(f"/v1/jobs/{job['id']}/results?format={form}")
        assert (reply.status_code, reply.json()["type"]) == (404, "urn:ruthan:problem:not-found")


def test_a_job_that_failed_says_why_and_has_no_results(start: Start) -> None:
    client = start(jobs_at_once=1)
    job = done(client, client.post("/v1/jobs?name=หน้าเว็บ.html", content=b"<html><body></body></html>").json())
    assert job["state"] == "failed"
    assert str(job["error"]).startswith("หน้าเว็บ.html: a web page")
    reply = client.get(f"/v1/jobs/{job['id']}/results")
    assert (reply.status_code, reply.json()["state"]) == (409, "failed")
    assert "retry-after" not in reply.headers


def test_a_caller_sees_only_his_own_jobs(start: Start, make_key: Callable[..., str]) -> None:
    client = start()
    service = client.app.state.service  # type: ignore[attr-defined]
    mine, other, admin = (
        {"Authorization": f"Bearer {make_key(service, *scopes)}"} for scopes in (["jobs"], ["jobs"], ["jobs", "admin"])
    )
    job = client.post("/v1/jobs", content=CHATS, headers=mine).json()
    for path in (f"/v1/jobs/{job['id']}", f"/v1/jobs/{job['id']}/results"):
        assert client.get(path, headers=other).status_code == 404
    assert client.delete(f"/v1/jobs/{job['id']}", headers=other).status_code == 404
    assert client.get("/v1/jobs", headers=other).json() == {"jobs": []}
    assert len(client.get("/v1/jobs", headers=admin).json()["jobs"]) == 1
    assert client.delete(f"/v1/jobs/{job['id']}", headers=mine).status_code == 204


def test_an_upload_that_is_too_large_leaves_nothing(start: Start) -> None:
    client = start(max_upload_bytes=1_000)

    def body() -> Iterator[bytes]:
        for _ in range(10):
            yield b"x" * 500

    reply = client.post("/v1/jobs", content=body())
    assert reply.status_code == 413
    assert "1,000 bytes" in reply.json()["detail"]
    reply = client.post("/v1/jobs", content=b"x" * 1_001)
    assert (reply.status_code, reply.json()["type"]) == (413, "urn:ruthan:problem:too-large")
    assert folders(client) == []


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ("", 422, "body is empty"),
        ("?format=docx", 422, "there are "),
        ("?with_text=true", 403, "keeps no texts"),
        ("?mask=maybe", 422, "query mask"),
        ("?name=" + "x" * 201, 422, "query name"),
    ],
)
def test_an_upload_that_cannot_be_taken_is_told_why(start: Start, query: str, status: int, told: str) -> None:
    reply = start().post(f"/v1/jobs{query}", content=b"")
    assert reply.status_code == status
    assert told in reply.json()["detail"]


def test_texts_and_masks_are_as_asked_for(start: Start) -> None:
    client = start(jobs_at_once=1, store_text=True)
    plain = done(client, client.post("/v1/jobs?with_text=true", content=CHATS).json())
    masked = done(client, client.post("/v1/jobs?with_text=true&mask=true", content=CHATS).json())
    texts = [client.get(f"/v1/jobs/{job['id']}/results").text for job in (plain, masked)]
    assert "0620008899" in texts[0]
    assert "0620008899" not in texts[1]
    assert all("text" in json.loads(line)["message"] for line in texts[0].splitlines())


def test_one_key_has_so_many_jobs_at_a_time(start: Start) -> None:
    client = start(jobs_per_key=2)
    assert [client.post("/v1/jobs", content=CHATS).status_code for _ in range(3)] == [202, 202, 429]


def test_one_key_has_no_more_jobs_by_sending_them_at_the_same_time(start: Start) -> None:
    client = start(jobs_per_key=2)
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda _: client.post("/v1/jobs", content=slowly(CHATS)).status_code, range(6)))
    assert sorted(statuses) == [202, 202, 429, 429, 429, 429]
    assert len(folders(client)) == 2


def test_a_full_disk_is_told_and_nothing_is_left(start: Start) -> None:
    client = start()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000_000, before[1]))
    try:
        reply = client.post("/v1/jobs", content=bytes(9_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (reply.status_code, reply.json()["type"]) == (507, "urn:ruthan:problem:storage-full")
    assert folders(client) == []
    assert client.get("/v1/jobs").json() == {"jobs": []}
    assert client.post("/v1/jobs", content=bytes(9_000_000)).status_code == 202


def test_dumps_leave_the_database_some_room(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client = start()
    monkeypatch.setattr(files, "RESERVE", shutil.disk_usage("/").total * 100)
    reply = client.post("/v1/jobs", content=CHATS)
    assert (reply.status_code, reply.json()["type"]) == (507, "urn:ruthan:problem:storage-full")
    assert folders(client) == []


def call(url: str, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, Any]:
    connection = HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, json.loads(content) if content else None


def test_of_an_upload_whose_caller_goes_away_nothing_is_left(serving: Serve, tmp_path: Path) -> None:
    server = serving(jobs_at_once=0)
    place = urlsplit(server.url)
    folder = tmp_path / "data/jobs"
    with socket.create_connection((place.hostname, place.port)) as caller:
        caller.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n\r\n" + bytes(200_000))
        end = time.monotonic() + 10
        while not (folder.exists() and list(folder.glob("*/upload/dump"))):
            assert time.monotonic() < end
            time.sleep(0.02)
    assert nothing_left(folder)
    assert call(server.url, "GET", "/v1/jobs") == (200, {"jobs": []})


def test_a_dump_that_is_sent_again_whole_is_taken_for_the_same(serving: Serve) -> None:
    server = serving(jobs_at_once=0)
    key = {"Idempotency-Key": "k"}
    first = call(server.url, "POST", "/v1/jobs", bytes(20_000_000), **key)
    second = call(server.url, "POST", "/v1/jobs", bytes(20_000_000), **key)
    assert (first[0], second[0]) == (202, 200)
    assert first[1]["id"] == second[1]["id"]


def test_an_accepted_job_survives_that_everything_is_killed(serving: Serve) -> None:
    server = serving(jobs_at_once=1)
    texts = "".join(json.dumps({"text": f"กู้เงินด่วน {number} บาท ไม่เช็กบูโร"}) + "\n" for number in range(300))
    status, job = call(server.url, "POST", "/v1/jobs?name=a.jsonl", texts.encode())
    assert status == 202
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    server = serving(jobs_at_once=1)
    end = time.monotonic() + 60
    while (seen := call(server.url, "GET", f"/v1/jobs/{job['id']}")[1])["state"] != "done":
        assert time.monotonic() < end, seen
        time.sleep(0.1)
    assert seen["progress"]["messages"] == 300


def memory(process: int) -> int:
    """Bytes that a process has taken at most."""
    said = Path(f"/proc/{process}/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in said.splitlines() if line.startswith("VmHWM:"))


def test_large_results_are_sent_without_being_in_memory(serving: Serve, tmp_path: Path) -> None:
    server = serving(jobs_at_once=0)
    _, job = call(server.url, "POST", "/v1/jobs", CHATS)
    results = tmp_path / "data/jobs" / job["id"] / "results"
    results.mkdir()
    size = 300_000_000
    with (results / "verdicts.jsonl").open("wb") as file:
        file.truncate(size)
    database = Database(f"sqlite:///{tmp_path / 'data/ruthan.sqlite'}")
    with database.session() as session:
        row = session.get(JobRow, job["id"])
        assert row is not None
        row.state = "done"
    database.close()
    before = memory(server.process.pid)
    connection = HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    connection.request("GET", f"/v1/jobs/{job['id']}/results")
    reply = connection.getresponse()
    time.sleep(0.5)  # a caller that reads slowly
    read = 0
    while piece := reply.read(1_000_000):
        read += len(piece)
    connection.close()
    assert read == size
    assert memory(server.process.pid) - before < 50_000_000


def test_the_document_describes_uploads_and_results(start: Start) -> None:
    paths = start().get("/openapi.json").json()["paths"]
    upload = paths["/v1/jobs"]["post"]
    assert upload["requestBody"]["content"]["application/octet-stream"]["schema"]["format"] == "binary"
    assert upload["requestBody"]["required"] is True
    assert {"200", "202", "401", "403", "409", "413", "422", "429", "503", "507"} <= upload["responses"].keys()
    assert "Location" in upload["responses"]["202"]["headers"]
    assert {each["name"] for each in upload["parameters"]} == {
        *("name", "format", "column", "mask", "with_text", "Idempotency-Key")
    }
    results = paths["/v1/jobs/{id}/results"]["get"]["responses"]
    assert {form.media_type.split(";")[0] for form in FORMS.values()} == results["200"]["content"].keys()
    assert "binary" in str(results["200"]["content"]["application/vnd.sqlite3"])
