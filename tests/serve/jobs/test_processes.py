import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serve.jobs.processes import LEAST_MEMORY, MOST_MEMORY, NICENESS, environment

BOUND = """
import json, os, resource, sys, time
from pathlib import Path
from serve.jobs.processes import set_bounds
set_bounds()
score = Path("/proc/self/oom_score_adj")
print(json.dumps([os.nice(0), resource.getrlimit(resource.RLIMIT_DATA)[0], score.exists() and int(score.read_text())]))
sys.stdout.flush()
time.sleep(60)
"""


def test_a_process_is_given_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUTHAN_DATABASE_URL", "postgresql://u:secret@h/d")
    assert "secret" not in str(environment())
    assert environment()["PATH"] == os.environ["PATH"]


def test_a_process_writes_nothing_into_the_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "installed.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    subprocess.run([sys.executable, "-c", "import installed"], env=environment(), check=True)
    assert [path.name for path in tmp_path.iterdir()] == ["installed.py"]


def test_a_process_stands_behind_the_requests_and_takes_no_more_than_its_share() -> None:
    with subprocess.Popen([sys.executable, "-c", BOUND], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        nice, memory, score = json.loads(process.stdout.readline())
        process.kill()
    assert nice == min(19, os.nice(0) + NICENESS)
    assert LEAST_MEMORY <= memory <= MOST_MEMORY
    assert score in (1_000, False)
    assert resource.getrlimit(resource.RLIMIT_DATA)[0] != memory


def test_a_process_ends_when_its_parent_is_gone() -> None:
    between = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {BOUND!r}]); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", between], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()  # the child has set its bounds
        parent.send_signal(signal.SIGKILL)
        started = time.monotonic()
        assert parent.stdout.read() == b""  # it closes its output when it ends
        assert time.monotonic() - started < 10
