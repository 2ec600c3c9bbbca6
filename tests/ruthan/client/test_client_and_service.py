"""The clients and the service itself, over a socket."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from ruthan.client import Client, ItemError, errors
from ruthan.message import Message
from ruthan.scanner import Scanner
from ruthan.taxonomy import default_taxonomy
from serve.app import create_app, open_service
from serve.settings import Settings

LURE = "คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงิน แอดไลน์ @easyloan-th"
CHAT = "ประชุมพรุ่งนี้เก้าโมงที่ห้องเดิมนะครับ"
HALF = "โอน\ud83dด่วน"
SAMPLES = Path(__file__).parents[3] / "data/samples"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that takes little at a time."""
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("data"), max_batch=3, max_batch_characters=400, max_text_length=300, threads=1
    )
    config = uvicorn.Config(create_app(settings, open_service(settings)), port=0, log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def test_verdicts_are_those_of_the_library(url: str, do: Any, scanner: Scanner) -> None:
    for text in (LURE, CHAT, HALF, ""):
        assert do(url, lambda client, text=text: client.scan(text)) == scanner.scan(text)
    assert do(url, lambda client: client.explain(LURE)) == scanner.scan(LURE, explain=True)


def test_many_messages_are_judged_in_order_whatever_the_service_takes_at_once(
    url: str, do: Any, scanner: Scanner
) -> None:
    texts = [LURE, CHAT, HALF, "", Message(LURE, channel="sms"), *(f"{CHAT} ครั้งที่ {number}" for number in range(8))]
    assert do(url, lambda client: client.scan_many(texts)) == list(scanner.scan_many(texts))


def test_a_text_that_is_too_long_fails_alone_and_as_the_service_would_say(url: str, do: Any, scanner: Scanner) -> None:
    long = "ก" * 301
    found = do(url, lambda client: client.scan_many([CHAT, long, LURE]))
    assert [found[0], found[2]] == [scanner.scan(CHAT), scanner.scan(LURE)]
    with pytest.raises(errors.ProblemError) as caught:
        do(url, lambda client: client.scan(long))
    assert found[1] == ItemError(caught.value.detail)
    assert (caught.value.status, caught.value.kind) == (422, "text-too-long")


def test_the_model_and_the_classes_are_told(url: str, do: Any) -> None:
    model = do(url, lambda client: client.model())
    assert model.labels == default_taxonomy().labels
    assert (model.limits.max_batch, model.limits.max_batch_explained) == (3, 1)
    assert model.model_version.startswith(model.name)
    assert do(url, lambda client: client.taxonomy()) == default_taxonomy()


def test_feedback_goes_into_quarantine(url: str, do: Any) -> None:
    with Client(url) as client:
        verdict = client.scan(LURE)
    give = {"kind": default_taxonomy().kinds[0], "text": LURE, "verdict": verdict, "reviewer": "ผู้ตรวจ-07"}
    do(url, lambda client: client.feedback("benign", **give))
    receipt = do(url, lambda client: client.feedback("benign", **give))
    assert (receipt.state, receipt.replaced) == ("quarantined", True)
    with pytest.raises(errors.ProblemError, match="label"):
        do(url, lambda client: client.feedback("safe", text=LURE))


def test_a_dump_is_sent_scanned_fetched_and_deleted(url: str, do: Any, tmp_path: Path) -> None:
    job = do(url, lambda client: client.submit(SAMPLES / "chats.jsonl", mask=True))
    assert do(url, lambda client: client.wait(job, timeout=60)).progress.messages == 16
    path = do(url, lambda client: client.results(job, tmp_path / "verdicts.jsonl"))
    assert len(path.read_text("utf-8").splitlines()) == 16
    assert do(url, lambda client: client.results(job, tmp_path / "report.html", format="report")).stat().st_size > 1_000
    assert job.id in [each.id for each in do(url, lambda client: client.jobs())]
    do(url, lambda client: client.delete(job))
    with pytest.raises(errors.ProblemError) as caught:
        do(url, lambda client: client.job(job))
    assert caught.value.kind == "not-found"


def test_a_wrong_key_is_told(url: str, do: Any) -> None:
    with pytest.raises(errors.AccessError) as caught:
        do(url, lambda client: client.scan(CHAT), key="rtk_wrong")
    assert caught.value.kind == "key-unknown"
