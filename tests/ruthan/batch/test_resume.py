"""Whatever stops a run, the same command goes on, and writes what an uninterrupted run would have written."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.dump_entries import entries
from benchmarks.dump_formats import write_dump

KILLS = 50
# What is learned is put on disk after each batch, as after three seconds of a long run.
DRIVER = (
    "import sys; from ruthan.batch import memory; memory.SECONDS = 0.0; from ruthan.cli import main; sys.exit(main())"
)
ENVIRONMENT = {**os.environ, "SOURCE_DATE_EPOCH": "1764294600", "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LINE chat of 500 messages, 40 of them distinct."""
    path = tmp_path_factory.mktemp("dump") / "[LINE]chat.txt"
    write_dump(path, "line", entries(500, seed=5, distinct=0.08))
    return path


def start(dump: Path, out: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-c", DRIVER, "scan", str(dump), "--out", str(out), "--with-text"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENVIRONMENT)


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def uninterrupted(dump: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], float]:
    """What a run writes that nothing stops, and the seconds that it takes."""
    out = tmp_path_factory.mktemp("whole") / "out"
    began = time.monotonic()
    with start(dump, out) as process:
        assert process.wait() == 0, process.stderr and process.stderr.read().decode()
    return content(out), time.monotonic() - began


def test_a_run_killed_at_fifty_random_moments_writes_the_same_bytes(
    dump: Path, tmp_path: Path, uninterrupted: tuple[dict[str, bytes], float]
) -> None:
    expected, seconds = uninterrupted
    assert {"verdicts.jsonl", "report.html", "campaigns.jsonl", "not-read.jsonl", "indicators.csv"} <= expected.keys()
    out, chance, killed = tmp_path / "out", random.Random(11), 0
    while killed < KILLS:
        with start(dump, out) as process:
            try:
                process.wait(chance.uniform(0, seconds))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()
                killed += 1
                assert (
                    not out.exists()
                    or "verdicts.jsonl" not in content(out)
                    or content(out).items() >= {("verdicts.jsonl", expected["verdicts.jsonl"])}
                )
                continue
            assert process.returncode == 0
        assert content(out) == expected
        shutil.rmtree(out)
    with start(dump, out) as process:
        assert process.wait() == 0
    assert content(out) == expected


def calls(dump: Path, out: Path) -> int:
    """How often the model is asked in a run that nothing stops."""
    code = (
        "import sys; from ruthan.model.classifier import Classifier as C; run = C._run; calls = []\n"
        "C._run = lambda self, ids: (calls.append(1), run(self, ids))[1]\n"
        f"from ruthan.cli import main; code = main(['scan', {str(dump)!r}, '--out', {str(out)!r}, '--with-text'])\n"
        "print('calls', len(calls)); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=ENVIRONMENT, check=True)
    return int(done.stdout.decode().split("calls ")[-1])


def test_a_run_that_goes_on_asks_the_model_less(dump: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with start(dump, out) as process:
        progress = out / "progress.sqlite-wal"
        until = time.monotonic() + 60
        while time.monotonic() < until and not (progress.exists() and progress.stat().st_size > 40_000):
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert progress.exists()
    assert 0 < calls(dump, out) < calls(dump, tmp_path / "anew")


def test_a_full_disk_stops_with_one_line_and_the_run_can_go_on(
    dump: Path, tmp_path: Path, uninterrupted: tuple[dict[str, bytes], float]
) -> None:
    out = tmp_path / "out"

    def little_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing beyond then fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [sys.executable, "-c", DRIVER, "scan", str(dump), "--out", str(out), "--with-text"]
    done = subprocess.run(command, capture_output=True, env=ENVIRONMENT, preexec_fn=little_room)
    assert done.returncode == 2
    *_, last = done.stderr.decode().strip().splitlines()
    assert last.startswith("ruthan: ")
    assert "Traceback" not in done.stderr.decode()
    assert "verdicts.jsonl" not in content(out)
    with start(dump, out) as process:
        assert process.wait() == 0
    assert content(out) == uninterrupted[0]


def test_a_second_run_to_the_same_results_is_refused(dump: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with start(dump, out) as first:
        until = time.monotonic() + 60
        while time.monotonic() < until and not (out / "progress.sqlite-wal").exists():
            time.sleep(0.02)
        time.sleep(0.1)
        with start(dump, out) as second:
            message = second.stderr.read().decode() if second.stderr else ""
            assert second.wait() == 2
        assert "another run" in message
        assert first.wait() == 0
