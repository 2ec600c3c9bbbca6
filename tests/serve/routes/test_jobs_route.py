import io
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest
from fastapi.testclient import TestClient

from serve.jobs.results import FORMS

SAMPLES = Path(__file__).parents[3] / "data/samples"
CHATS = (SAMPLES / "chats.jsonl").read_bytes()

Start = Callable[..., TestClient]


def done(client: TestClient, job: dict[str, object], **headers: str) -> dict[str, object]:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        seen = client.get(f"/v1/jobs/{job['id']}", headers=headers).json()
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
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1


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
    folder = client.app.state.service.settings.data_dir / "jobs"  # type: ignore[attr-defined]
    assert list(folder.iterdir()) == []


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


def test_a_full_disk_is_told_and_nothing_is_left(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    client = start()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    reply = client.post("/v1/jobs", content=CHATS)
    assert (reply.status_code, reply.json()["type"]) == (507, "urn:ruthan:problem:storage-full")
    monkeypatch.undo()
    assert list((client.app.state.service.settings.data_dir / "jobs").iterdir()) == []  # type: ignore[attr-defined]
    assert client.get("/v1/jobs").json() == {"jobs": []}
