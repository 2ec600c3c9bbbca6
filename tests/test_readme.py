"""The README is true: its Python runs and prints what it says, its commands exist, its tables are complete."""

import contextlib
import io
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from ruthan.scanner import Scanner
from ruthan.taxonomy import default_taxonomy
from serve.app import create_app, open_service
from serve.settings import Settings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [content for name, content in fenced if name == language]


def test_the_python_example_prints_what_the_readme_says() -> None:
    [example] = blocks("python")
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        exec(compile(example, "README.md", "exec"), {})
    assert output.getvalue() in blocks("")


def test_the_curl_example_gets_the_answer_the_readme_shows(tmp_path: Path) -> None:
    [command] = blocks("sh")
    arguments = shlex.split(command)
    settings = Settings(data_dir=tmp_path)
    body, path = arguments[arguments.index("-d") + 1], arguments[2].removeprefix("localhost:8000")
    with TestClient(create_app(settings, open_service(settings)), base_url="http://localhost:8000") as client:
        reply = client.post(path, content=body, headers={"content-type": "application/json"}).json()
    [shown] = blocks("json")
    assert json.loads(shown).keys() == reply.keys()
    assert {key: json.loads(shown)[key] for key in ("label", "action", "evidence", "reasons", "model")} == {
        key: reply[key] for key in ("label", "action", "evidence", "reasons", "model")
    }
    assert json.loads(shown)["risk"] == pytest.approx(reply["risk"], abs=0.02)


def test_the_scan_command_shows_what_the_readme_shows(scanner: Scanner, capsys: pytest.CaptureFixture[str]) -> None:
    from ruthan.cli import main

    shown = blocks("console")[0]
    samples = [str(ROOT / "data/samples" / name) for name in ("inbox-cp874.csv", "chats.jsonl")]
    main(["scan", *samples])
    counts = capsys.readouterr().out.split("\n\n")[-1]
    assert counts in shown


@pytest.mark.parametrize("label", default_taxonomy().labels)
def test_every_label_is_explained_in_thai(label: str) -> None:
    assert re.search(rf"\| `{label}` \| {re.escape(default_taxonomy()[label].thai)} \|", README)


def test_every_make_target_is_real_and_has_help() -> None:
    named = set(re.findall(r"`?\bmake ([a-z]+)", README)) - {"lists"}
    output = subprocess.run(["make", "-s", "-C", str(ROOT), "help"], capture_output=True, check=True).stdout.decode()
    assert named <= set(re.findall(r"^make ([a-z]+)", output, re.MULTILINE))


def test_every_training_command_is_real() -> None:
    from train.__main__ import parser as train
    from train.corpus.__main__ import parser as corpus

    pytest.importorskip("torch", reason="needs the extra train")
    parsers = {"train": train, "train.corpus": corpus}
    commands = re.findall(r"^\$ python -m (train(?:\.corpus)?) (.*?)(?:\s+#.*)?$", README, re.MULTILINE)
    assert len(commands) == 8
    for module, arguments in commands:
        assert parsers[module]().parse_args(shlex.split(arguments)).command in arguments


def test_the_tree_in_the_readme_is_the_tree() -> None:
    named = re.findall(r"^([a-z]+)/ ", README, re.MULTILINE)
    files = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, check=True).stdout.decode()
    folders = {line.split("/")[0] for line in files.splitlines() if "/" in line and not line.startswith(".")}
    assert set(named) == folders
