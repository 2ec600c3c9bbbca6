import asyncio
import concurrent.futures
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ruthan.model.bundle import default_bundle
from serve.main import main

Serve = Callable[..., Any]
LURE = "คุณได้รับอนุมัติวงเงินกู้ 80,000 บาท ไม่เช็กบูโร โอนค่าค้ำประกัน 1,500 บาทก่อนรับเงิน แอดไลน์ @easyloan-th"


def scan(url: str, text: str = LURE) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, content and headers of the answer."""
    body = json.dumps({"text": text}).encode()
    request = urllib.request.Request(f"{url}/v1/scan", body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, json.load(reply), {name.lower(): value for name, value in reply.headers.items()}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), {}


def log_of(serving: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in serving.log.read_text("utf-8").splitlines()]


def test_the_command_starts_a_service_that_answers_logs_no_text_and_stops(serving: Serve) -> None:
    found = serving()
    assert found.output.startswith("ruthan: http://127.0.0.1:")
    assert "model ruthan-" in found.output
    assert scan(found.url)[0] == 200
    found.process.terminate()
    assert found.process.wait(30) == 0
    lines = log_of(found)
    assert "request" in {line["message"] for line in lines}
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    assert "easyloan" not in found.log.read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "environment", "told"),
    [
        ((), {"RUTHAN_MODEL": "/nowhere"}, "no model bundle at /nowhere"),
        ((), {"RUTHAN_POLICY": "/nowhere"}, "cannot read the policy /nowhere"),
        ((), {"RUTHAN_MAX_BATCH": "many"}, "RUTHAN_MAX_BATCH is 'many'"),
        (("--settings", "/nowhere"), {}, "cannot read the settings /nowhere"),
        (("--host", "0.0.0.0"), {}, "ruthan-serve keys create NAME --scope scan"),
        (("--host", "192.0.2.1"), {"RUTHAN_DATABASE_URL": "nonsense"}, "database URL cannot be used"),
        ((), {"RUTHAN_DATA_DIR": "/proc/nowhere"}, "cannot make the folder /proc/nowhere"),
    ],
)
def test_what_keeps_it_from_starting_is_one_line_and_exit_code_2(
    options: tuple[str, ...],
    environment: dict[str, str],
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUTHAN_DATA_DIR", str(tmp_path))
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main(["--port", "0", *options]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("ruthan-serve: ")
    assert told in said


def test_a_busy_port_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUTHAN_DATA_DIR", str(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err


def test_workers_that_cannot_start_end_the_command(serving: Serve) -> None:
    found = serving(wait=False, workers=2, model="/nowhere")
    assert found.process.wait(60) == 2
    assert "no model bundle at /nowhere" in found.log.read_text("utf-8")


@pytest.mark.parametrize("workers", [1, 2])
def test_told_to_stop_while_it_starts_it_stops(serving: Serve, workers: int, tmp_path: Path) -> None:
    found = serving(wait=False, workers=workers)  # it has said where it will answer, and does not answer yet
    found.process.send_signal(signal.SIGHUP)
    time.sleep(0.2)
    assert found.process.poll() is None
    found.process.terminate()
    assert found.process.wait(30) == 0
    early = subprocess.Popen(
        [sys.executable, "-m", "serve.main", "--port", "0"],
        env={**os.environ, "RUTHAN_DATA_DIR": str(tmp_path / "early")},
    )
    for pause in (0.5, 0.7, 0.9):
        time.sleep(pause)
        early.terminate()
    assert early.wait(30) in (0, -signal.SIGTERM)  # before it has taken the signal, the system's own way


def test_no_accepted_request_is_lost_when_it_is_told_to_stop(serving: Serve) -> None:
    found = serving(shutdown_delay=1)
    stopped = time.monotonic() + 1.0

    def call(number: int) -> list[int | str]:
        outcomes: list[int | str] = []
        for turn in range(1_000):
            try:
                outcomes.append(scan(found.url, f"{LURE} {number} {turn}")[0])
            except OSError as error:  # never taken: the socket was closed, with what the system held for it
                outcomes.append(type(getattr(error, "reason", error)).__name__)
                break
        return outcomes

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(call, number) for number in range(8)]
        time.sleep(max(0.0, stopped - time.monotonic()))
        found.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        request = urllib.request.Request(f"{found.url}/readyz")
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request)
        with error.value:
            assert json.load(error.value)["status"] == "stopping"
        outcomes = [each for done in calls for each in done.result()]
    assert found.process.wait(30) == 0
    assert set(outcomes) <= {200, "ConnectionRefusedError", "ConnectionResetError", "RemoteDisconnected"}
    assert outcomes.count(200) > 8
    answered = [line for line in log_of(found) if line["message"] == "request" and line["route"] == "/v1/scan"]
    assert len(answered) == outcomes.count(200)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_request_that_the_system_holds_for_it_is_answered_too(serving: Serve, workers: int) -> None:
    found = serving(workers=workers)
    lost: list[str] = []
    answered = 0
    ended = False

    async def caller(number: int) -> None:
        nonlocal answered
        while not ended:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", int(found.url.rpartition(":")[2]))
            except OSError:
                return  # it takes no more
            body = json.dumps({"text": f"สวัสดี {number}"}).encode()
            head = f"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            try:
                writer.write(f"POST /v1/scan HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode() + body)
                said = await asyncio.wait_for(reader.read(), 20)
                if not said.startswith(b"HTTP/1.1 200"):
                    lost.append(said[:12].decode() or "nothing")
                answered += 1
            except OSError as error:
                lost.append(type(error).__name__)
            finally:
                writer.close()

    async def inside() -> None:
        nonlocal ended
        callers = [asyncio.create_task(caller(number)) for number in range(50)]
        await asyncio.sleep(1.5)
        found.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(3)
        ended = True
        await asyncio.gather(*callers)

    asyncio.run(inside())
    assert found.process.wait(30) == 0
    assert answered > 50
    assert len(lost) <= 2, lost  # a connection may arrive while it closes


@pytest.fixture
def own_model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(default_bundle(), tmp_path / "own"))


def rename(bundle: Path, name: str) -> None:
    info = json.loads((bundle / "bundle.json").read_text("utf-8"))
    (bundle / "bundle.json").write_text(json.dumps(info | {"name": name}), "utf-8")


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_hang_up_reads_the_model_again_and_a_bad_one_changes_nothing(
    serving: Serve, own_model: Path, workers: int
) -> None:
    found = serving(model=own_model, workers=workers)

    def versions() -> set[str]:
        return {scan(found.url, f"{LURE} {time.time_ns()} {number}")[2]["x-ruthan-model"] for number in range(12)}

    [before] = versions()
    rename(own_model, "second")
    found.process.send_signal(signal.SIGHUP)
    until(lambda: {version.split("@")[0] for version in versions()} == {"second"})
    (own_model / "model.onnx").write_bytes(b"damaged")
    found.process.send_signal(signal.SIGHUP)
    until(lambda: found.log.read_text("utf-8").count("the former one goes on") >= workers)
    assert {version.split("@")[0] for version in versions()} == {"second"}
    assert before != next(iter(versions()))
    assert found.process.poll() is None


def workers_of(process: int) -> list[int]:
    said = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process)], capture_output=True, text=True
    ).stdout
    return [int(line.split()[0]) for line in said.splitlines() if "spawn_main" in line]


def test_a_worker_that_is_killed_under_load_is_replaced_and_the_others_go_on(serving: Serve) -> None:
    found = serving(workers=2)
    until(lambda: len(workers_of(found.process.pid)) == 2)
    first = workers_of(found.process.pid)
    end = time.monotonic() + 6

    def call(number: int) -> list[int]:
        outcomes = []
        turn = 0
        while time.monotonic() < end:
            turn += 1
            try:
                outcomes.append(scan(found.url, f"{LURE} {number} {turn}")[0])
            except OSError:  # what the killed one had taken is broken off, and can be sent again
                outcomes.append(0)
        return outcomes

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(call, number) for number in range(6)]
        time.sleep(1.5)
        os.kill(first[0], signal.SIGKILL)
        outcomes = [each for done in calls for each in done.result()]
    assert set(outcomes) <= {200, 0}
    assert outcomes.count(0) <= 6
    until(lambda: len(workers_of(found.process.pid)) == 2)
    assert first[0] not in workers_of(found.process.pid)
    assert first[1] in workers_of(found.process.pid)


def test_figures_of_all_workers_are_told_by_any(serving: Serve) -> None:
    found = serving(workers=2)
    for number in range(30):
        assert scan(found.url, f"{LURE} {number}")[0] == 200

    def counted() -> float:
        with urllib.request.urlopen(f"{found.url}/metrics") as reply:
            lines = reply.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("ruthan_verdicts_total{"))

    assert [counted() for _ in range(6)] == [30.0] * 6
