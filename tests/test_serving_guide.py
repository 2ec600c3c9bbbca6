"""docs/serving.md is true: its commands are run against a service that is started for it, its tables are compared."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from pydantic_core import PydanticUndefined

from ruthan.taxonomy import default_taxonomy
from serve.jobs.results import FORMS
from serve.problems import KINDS
from serve.settings import Settings, read_settings
from serve.storage.keys import SCOPES

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
SECRET = "0123456789abcdef0123456789abcdef"
END = "--- end of block ---"
MORE = "…"

# Defaults that depend on the machine.
ELSEWHERE = {"models_dir": "what ships", "policies_dir": "what ships", "data_dir": "`~/.local/state/ruthan` on Linux"}


# The tables


def settings_table() -> list[str]:
    """The rows of the table of settings. To renew them: python tests/test_serving_guide.py"""

    def default(name: str, value: Any) -> str:
        if name in ELSEWHERE:
            return ELSEWHERE[name]
        if value is None or value is PydanticUndefined or value == "":
            return ""
        return f"`{str(value).lower() if isinstance(value, bool) else value}`"

    return [
        f"| `{name}` | {default(name, field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]


def rows(header: str) -> list[list[str]]:
    """The cells of the table under a header."""
    lines = GUIDE.split(f"| {header} |", 1)[1].splitlines()[2:]
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def test_the_table_of_settings_is_that_of_the_service() -> None:
    for row in settings_table():
        assert row in GUIDE, f"docs/serving.md lacks the row {row}; renew it: python tests/test_serving_guide.py"
    assert len(rows("setting")) == len(Settings.model_fields)


def test_the_table_of_problems_is_that_of_the_service() -> None:
    told = {name.strip("`"): int(status) for name, status, _ in rows("kind")}
    assert told == {name: kind.status for name, kind in KINDS.items()}


def test_every_scope_and_form_of_results_is_told() -> None:
    assert [name.strip("`") for name, _ in rows("scope")] == list(SCOPES)
    for form in FORMS:
        assert f"`{form}`" in GUIDE


def test_the_settings_file_can_be_used(tmp_path: Path) -> None:
    [content] = [content for language, content in BLOCKS if language == "yaml"]
    path = tmp_path / "settings.yaml"
    path.write_text(content, "utf-8")
    assert read_settings({}, path).model_fields_set == yaml.safe_load(content).keys()


def test_the_labels_and_kinds_in_examples_exist() -> None:
    known = {*default_taxonomy().labels, *default_taxonomy().kinds}
    assert set(re.findall(r'"(?:label|kind)": "(\w+)"', GUIDE)) <= known


def test_every_route_is_shown(service: "Service") -> None:
    with urlopen(f"{service.url}/openapi.json") as reply:
        paths = json.load(reply)["paths"]
    shown = re.sub(r"\\\n\s*", "", "".join(content for language, content in BLOCKS if language == "sh"))
    calls = [line for line in shown.splitlines() if "curl" in line]
    for path, operations in paths.items():
        pattern = re.compile("localhost:8000" + re.sub(r"\{\w+\}", r"\\$\\w+", path) + r'(?:[?" ]|$)')
        for method in operations:
            flag = "-X DELETE" if method == "delete" else ""
            posting = method == "post"
            assert any(
                pattern.search(line) and flag in line and posting == bool(re.search(r" -d | -X POST ", line + " "))
                for line in calls
            ), (method, path)


# The examples


class Service:
    """A service as the guide starts it, and a folder in which the guide's commands are given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("data", "docs"):
            (folder / name).symlink_to(ROOT / name)
        programs = folder / "bin"
        programs.mkdir()
        (programs / "ruthan-serve").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m serve.main "$@"\n', "utf-8")
        (programs / "ruthan-serve").chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{programs}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "RUTHAN_DATA_DIR": str(folder / "state"),
            "RUTHAN_LINE_CHANNEL_SECRET": SECRET,
            "RUTHAN_LINE_CHANNEL_TOKEN": "token",
        }
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                ["ruthan-serve", "--port", "0"],
                cwd=folder,
                env=self.environment,
                executable=programs / "ruthan-serve",
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline().decode()
        self.url = next(iter(re.findall(r"http://[\d.:]+", self.said)), "")
        self._wait()
        self.key = ""

    def _wait(self) -> None:
        for _ in range(300):
            assert self.process.poll() is None, (self.folder / "log").read_text()
            try:
                urlopen(f"{self.url}/healthz").close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise TimeoutError

    def here(self, example: str) -> str:
        """An example with the address of this service in place of the guide's."""
        return example.replace("http://localhost:8000", self.url).replace(
            "localhost:8000", self.url.removeprefix("http://")
        )

    def run(self, *command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command,
            cwd=self.folder,
            env={**self.environment, "RUTHAN_KEY": self.key, "RUTHAN_URL": self.url, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("guide"))
    yield service
    service.close()


@pytest.fixture(scope="module")
def outputs(service: Service) -> list[str]:
    """What each block of shell printed, all of them run in one shell, as a reader would."""
    script = "set -euo pipefail\n" + "".join(
        f"{service.here(content)}\necho; echo '{END}'\n" for language, content in BLOCKS if language == "sh"
    )
    done = service.run("bash", "-c", script + 'echo "$KEY"')
    *outputs, key = done.stdout.split(f"\n{END}\n")
    service.key = key.strip()
    assert done.returncode == 0, f"{done.stdout[-2_000:]}\n{done.stderr[-2_000:]}"
    return outputs


def like(shown: Any, found: Any) -> bool:
    """Whether what was found is what is shown, where `…` stands for more."""
    if isinstance(shown, dict) and isinstance(found, dict):
        wanted = {name: value for name, value in shown.items() if name != MORE}
        return (MORE in shown or wanted.keys() == found.keys()) and all(
            name in found and like(value, found[name]) for name, value in wanted.items()
        )
    if isinstance(shown, list) and isinstance(found, list):
        return len(shown) == len(found) and all(map(like, shown, found))
    if isinstance(shown, str) and shown.endswith(MORE):
        return isinstance(found, str) and found.startswith(shown.removesuffix(MORE))
    if isinstance(shown, float):
        return found == pytest.approx(shown, abs=0.02)
    return bool(shown == found)


def test_every_shell_example_works_and_answers_what_is_shown(outputs: list[str]) -> None:
    results = iter(outputs)
    last, compared = "", 0
    for language, content in BLOCKS:
        if language == "sh":
            last = next(results)
            assert "urn:ruthan:problem" not in last
        elif language == "json":
            assert like(json.loads(content), json.loads(last)), (content, last)
            compared += 1
    assert compared >= 5
    assert next(results, None) is None


def test_the_shell_examples_leave_what_they_say(outputs: list[str], service: Service) -> None:
    assert len((service.folder / "verdicts.jsonl").read_text("utf-8").splitlines()) == 16
    assert "<html" in (service.folder / "report.html").read_text("utf-8")
    [record] = (service.folder / "corrections.jsonl").read_text("utf-8").splitlines()
    assert json.loads(record)["label"] == "benign"


def test_the_first_line_is_as_shown(service: Service) -> None:
    [shown] = [line for line in GUIDE.splitlines() if line.startswith("ruthan: http")]
    assert re.sub(r":\d+", "", service.said.strip()) == re.sub(r":\d+", "", shown)


def test_the_python_example_works(outputs: list[str], service: Service) -> None:
    [example] = [content for language, content in BLOCKS if language == "python"]
    done = service.run(sys.executable, "-W", "error", "-c", service.here(example))
    assert done.stderr == ""
    first, second, third = done.stdout.splitlines()
    assert first.startswith("prize block ข้อความนี้")
    assert (second, third) == ("benign", "bank_phishing")
    assert len((service.folder / "verdicts.csv").read_text("utf-8-sig").splitlines()) > 10


def test_the_javascript_example_works(outputs: list[str], service: Service) -> None:
    [example] = [content for language, content in BLOCKS if language == "js"]
    done = service.run("node", "--input-type=module", "--eval", service.here(example))
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["prize block", "benign", "bank_phishing"]


def test_what_cannot_be_run_here_is_only_what_needs_other_programs() -> None:
    lines = [line for language, content in BLOCKS if language == "console" for line in content.splitlines()]
    commands = [line for line in lines if line.startswith("$ ")]
    assert {line.split()[1] for line in commands} == {"ruthan-serve", "python", "docker", "kubectl"}
    for place in re.findall(r"\bdeploy/[\w./-]+", "\n".join(commands)):
        assert (ROOT / place).exists(), place
    assert {language for language, _ in BLOCKS} == {"console", "sh", "json", "yaml", "python", "js"}


def test_the_export_can_be_filed_in_a_corpus(outputs: list[str], service: Service) -> None:
    pytest.importorskip("torch", reason="needs the extra train")
    corpus = service.folder / "corpus.jsonl"
    done = service.run(
        sys.executable, "-m", "train.corpus", "add", "corrections.jsonl", "--origin", "x", "--to", str(corpus)
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(corpus.read_text("utf-8"))["label"] == "benign"


# docs/examples


@pytest.mark.parametrize(
    ("text", "code", "first"),
    [
        ("ถึงบ้านแล้วนะแม่", 0, "allow  benign"),
        ("พัสดุของท่านถูกตีกลับ ชำระค่าส่ง 35 บาทที่ thaipost-track.top", 1, "block  parcel"),
        ('"quotes" $(id) `id` \\ บรรทัด\nใหม่', 0, "allow  benign"),
        ("-n สวัสดีตอนเช้าค่ะ", 0, "allow  benign"),
    ],
)
def test_the_shell_script_says_what_to_do(
    outputs: list[str], service: Service, text: str, code: int, first: str
) -> None:
    for done in (
        service.run("sh", "docs/examples/scan.sh", text),
        service.run("sh", "-c", 'printf %s "$TEXT" | sh docs/examples/scan.sh', TEXT=text),
    ):
        assert (done.returncode, done.stderr) == (code, "")
        assert done.stdout.startswith(first)


def test_the_shell_script_says_what_is_wrong_and_shows_no_key(outputs: list[str], service: Service) -> None:
    done = service.run("sh", "-x", "docs/examples/scan.sh", "x", RUTHAN_KEY="rtk_wrong")
    assert done.returncode == 2
    assert "this key is unknown" in done.stderr
    curl = [line for line in done.stderr.splitlines() if re.match(r"\++ curl ", line)]
    assert curl
    assert not any("rtk_wrong" in line for line in curl)


def node(service: Service, code: str, **environment: str) -> Any:
    done = service.run("node", "--input-type=module", "--eval", code, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_javascript_client_keeps_order_and_half_emoji(outputs: list[str], service: Service) -> None:
    code = """
    import { Ruthan } from "./docs/examples/ruthan.mjs";
    const ruthan = new Ruthan(process.env.RUTHAN_URL + "/", process.env.RUTHAN_KEY);
    const lure = "โอน\\ud83dด่วน แอดไลน์ @easyloan-th";
    const texts = Array.from({ length: 300 }, (_, i) => (i % 100 ? "ถึงบ้านแล้วนะแม่" : lure));
    const results = [];
    for await (const result of ruthan.scanMany([...texts, "ก".repeat(20001)])) results.push(result);
    const explained = await ruthan.explain("กดลิงก์ด่วน");
    console.log(JSON.stringify({
      evidence: results.flatMap((result, i) => (result.evidence?.length ? [i] : [])),
      last: results.at(-1).error, words: explained.words.length > 0, count: results.length,
    }));
    """
    found = node(service, code)
    assert found["evidence"] == [0, 100, 200]
    assert (found["count"], found["words"]) == (301, True)
    assert "send at most 20,000" in found["last"]


def test_the_javascript_client_tries_again_and_tells_what_is_wrong(outputs: list[str], service: Service) -> None:
    code = """
    import http from "node:http";
    import { Ruthan } from "./docs/examples/ruthan.mjs";
    let calls = 0;
    const server = http.createServer((request, reply) => {
      calls += 1;
      if (calls === 1) return request.socket.destroy();
      if (calls === 2) return reply.writeHead(503, { "Retry-After": "0" }).end("busy");
      reply.writeHead(200, { "Content-Type": "application/json" }).end('{"label": "benign"}');
    });
    await new Promise((done) => server.listen(0, "127.0.0.1", done));
    const busy = new Ruthan(`http://127.0.0.1:${server.address().port}`);
    const { label } = await busy.scan("x");
    server.close();
    const wrong = await new Ruthan(process.env.RUTHAN_URL, "rtk_wrong").scan("x").catch((error) => error);
    console.log(JSON.stringify({ label, calls, status: wrong.status, type: wrong.problem.type, said: wrong.message }));
    """
    found = node(service, code)
    assert (found["label"], found["calls"]) == ("benign", 3)
    assert (found["status"], found["type"]) == (401, "urn:ruthan:problem:key-unknown")
    assert "rtk_wrong" not in found["said"]


# Apps Script has no modules and waits for each fetch; this is as much of it as the example uses.
APPS_SCRIPT = """
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import vm from "node:vm";
const slept = [];
const context = vm.createContext({
  UrlFetchApp: {
    fetch(url, options) {
      const headers = Object.entries({ ...options.headers, "Content-Type": options.contentType });
      const out = execFileSync("curl", ["-s", "-i", "-X", options.method.toUpperCase(), url, "--data-binary", "@-",
        ...headers.flatMap(([name, value]) => ["-H", `${name}: ${value}`])], { input: options.payload }).toString();
      const [head, ...body] = out.split("\\r\\n\\r\\n");
      const [first, ...rest] = head.split("\\r\\n");
      const status = Number(first.split(" ")[1]);
      if (status >= 400 && !options.muteHttpExceptions) throw new Error("muteHttpExceptions is needed");
      return {
        getResponseCode: () => status,
        getContentText: () => body.join("\\r\\n\\r\\n"),
        getHeaders: () => Object.fromEntries(rest.map((line) => line.split(/: (.*)/s))),
      };
    },
  },
  PropertiesService: { getScriptProperties: () => ({ getProperty: (name) => process.env[name] ?? null }) },
  Utilities: { sleep: (ms) => slept.push(ms) },
});
vm.runInContext(readFileSync("docs/examples/ruthan.gs", "utf8"), context);
"""


def test_the_apps_script_fills_three_columns(outputs: list[str], service: Service) -> None:
    code = """
    const cells = [["ถึงบ้านแล้วนะแม่"], [""], ["โอน\\ud83d 1,500 บาทก่อนรับเงินกู้ แอดไลน์ @easyloan-th"], [12345],
      ["ก".repeat(20001)], ...Array.from({ length: 60 }, () => ["สวัสดี"])];
    const rows = context.RUTHAN(cells);
    console.log(JSON.stringify({ rows: rows.slice(0, 5), count: rows.length, single: context.RUTHAN("สวัสดี") }));
    """
    found = node(service, APPS_SCRIPT + code)
    everyday, empty, loan, number, long = found["rows"]
    assert everyday == ["allow", "benign", "ไม่พบสัญญาณเตือนในข้อความนี้"]
    assert empty == ["", "", ""]
    assert loan[0] == "block"
    assert number[0] == "allow"
    assert long[0] == "error"
    assert "send at most" in long[2]
    assert (found["count"], len(found["single"])) == (65, 1)


def test_the_apps_script_tells_what_is_wrong(outputs: list[str], service: Service) -> None:
    code = """
    let said = "";
    try { context.RUTHAN("x"); } catch (error) { said = error.message; }
    console.log(JSON.stringify({ said, slept }));
    """
    found = node(service, APPS_SCRIPT + code, RUTHAN_KEY="rtk_wrong")
    assert found == {
        "said": "ruthan: this key is unknown, expired or revoked; ask the operator for another",
        "slept": [],
    }


if __name__ == "__main__":
    header, rule = "| setting | default | what |", "|---|---|---|"
    table = "\n".join([header, rule, *settings_table()])
    renewed = re.sub(rf"{re.escape(header)}\n{re.escape(rule)}(\n\|.*)*", lambda _: table, GUIDE)
    (ROOT / "docs/serving.md").write_text(renewed, encoding="utf-8")
