import json
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from serve.main import main


def test_the_command_starts_a_service_that_answers_and_stops(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path / "log"
    with log.open("wb") as output:
        service = subprocess.Popen([sys.executable, "-m", "serve.main", "--port", str(port)], stderr=output)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(150):
            try:
                urllib.request.urlopen(f"{url}/healthz").read()
                break
            except OSError:
                time.sleep(0.2)
        body = json.dumps({"text": "ข้อความลับเฉพาะ"}).encode()
        request = urllib.request.Request(f"{url}/v1/scan", body, {"content-type": "application/json"})
        assert "risk" in json.load(urllib.request.urlopen(request))
    finally:
        service.terminate()
        assert service.wait(30) in (0, -15)
    assert not re.search("ข้อความลับ", log.read_text(encoding="utf-8"))


def test_a_missing_bundle_is_one_line_and_exit_code_2(capsys: object, monkeypatch: object) -> None:
    monkeypatch.setenv("RUTHAN_MODEL", "/nowhere")  # type: ignore[attr-defined]
    assert main([]) == 2
    assert "no model bundle at /nowhere" in capsys.readouterr().err  # type: ignore[attr-defined]
