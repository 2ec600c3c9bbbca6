"""The report as a browser shows it, driven by the DevTools protocol; needs Chromium and the package websockets."""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from ruthan.batch.campaigns import Campaign, CampaignIndicator
from ruthan.batch.report import ReportFacts, write_report
from ruthan.batch.summary import Summary
from ruthan.dumps.dates import BANGKOK

client = pytest.importorskip("websockets.sync.client", reason="the package websockets drives the browser")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BINARY = next((path for name in NAMES if (path := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(BINARY is None, reason=f"no browser was found: none of {', '.join(NAMES)}")

PATIENCE = 60  # seconds
HOSTILE = (
    '</script><script>hacked = 1</script><img src="https://example.com/x" onerror="hacked = 1">{{ 1 }}\u202e\ud800'
)
PLEA = "ช่วยด้วย ถูกยึดพาสปอร์ตไว้"
LURE = "งานแอดมิน รายได้ดี ดูที่ https://example.com/" + "x" * 300 + " โทร 081-000-5678 "


class Tab:
    """A tab of the browser, and all that it said."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._session: str | None = None
        self._number = 0
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send(
            "Page.addScriptToEvaluateOnNewDocument",
            source="violations = []; addEventListener('securitypolicyviolation', event => "
            "violations.push(event.violatedDirective + ' ' + event.blockedURI));",
        )

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        request = {"id": self._number, "method": method, "params": params}
        self._socket.send(json.dumps(request | ({"sessionId": self._session} if self._session else {})))
        while (answer := self._receive()).get("id") != self._number:
            pass
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=PATIENCE))
        if "method" in message:
            self.events.append(message)
        return message

    def open(self, path: Path) -> None:
        self.events.clear()
        self.send("Page.navigate", url=path.as_uri())
        while not self.params("Page.loadEventFired"):
            self._receive()

    def params(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event["method"] == method]

    def run(self, expression: str) -> Any:
        answer = self.send(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def shown_at(self, width: int, scheme: str = "light") -> None:
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600
        )
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])


def found(text: str, piece: str, kind: str, type_: str) -> dict[str, Any]:
    start = text.index(piece)
    return {"kind": kind, "type": type_, "value": piece, "text": piece, "start": start, "end": start + len(piece)}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    summary = Summary()
    link = LURE.split()[3]
    evidence = [found(LURE, link, "indicator", "url"), found(LURE, "รายได้ดี", "signal", "easy_high_pay")]
    for number, (label, text, marks) in enumerate(
        [
            ("trafficking", LURE, evidence),
            ("loan", LURE + HOSTILE, evidence),
            ("benign", PLEA, []),
            (HOSTILE, HOSTILE, []),
        ]
    ):
        summary.add(
            {
                "risk": 0.9,
                "label": label,
                "action": "review",
                "evidence": marks,
                "reasons": [HOSTILE],
                "reasons_en": [HOSTILE],
                "needs_help": text == PLEA,
                "recruitment": {"strong": 1, "medium": 0, "weak": 2},
                "model": HOSTILE,
                "policy": "default",
                "source": {"file": f"{HOSTILE}{'y' * 200}.csv", "line": number},
                "message": {"id": str(number), "channel": HOSTILE, "sent_at": f"2026-11-2{number}T08:00:00+07:00"},
            },
            text,
        )
    summary.unreadable(HOSTILE, HOSTILE, 1)
    campaign = Campaign(
        id="c-3f9a0c21d7e4",
        messages=3,
        texts=2,
        label="trafficking",
        labels={"trafficking": 3},
        risk=0.99,
        actions={"review": 3},
        needs_help=0,
        first_seen="2026-11-20T08:00:00+07:00",
        last_seen="2026-11-27T08:00:00+07:00",
        channels={HOSTILE: 3},
        senders=2,
        exemplar=LURE + HOSTILE,
        exemplar_evidence=tuple(evidence),
        exemplar_source={"file": "z" * 300, "line": 1},
        indicators=(CampaignIndicator(type="url", value=link, messages=3),),
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    facts = ReportFacts(files=("w" * 250, HOSTILE), made_at=datetime(2026, 11, 27, 16, 20, tzinfo=BANGKOK))
    write_report(path, summary, [campaign], facts)
    return path


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    assert BINARY is not None
    profile = tmp_path_factory.mktemp("profile")
    # Without a sandbox, since tests may run as root in a container; the browser sees nothing but our own page.
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
    process = subprocess.Popen(
        [BINARY, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        address = profile / "DevToolsActivePort"  # the browser writes where it listens
        deadline = time.monotonic() + PATIENCE
        while not address.exists() or address.read_text().count("\n") < 1:
            assert process.poll() is None, "the browser ended before it listened"
            assert time.monotonic() < deadline, "the browser does not listen"
            time.sleep(0.05)
        port, path = address.read_text().split("\n")[:2]
        with client.connect(f"ws://127.0.0.1:{port}{path}", max_size=None, proxy=None) as socket:
            yield Tab(socket)
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture
def opened(tab: Tab, report: Path) -> Tab:
    tab.shown_at(1200)
    tab.open(report)
    return tab


def test_the_browser_has_nothing_to_complain_of_and_asks_for_nothing_but_the_file(opened: Tab, report: Path) -> None:
    assert opened.run("new Promise(done => setTimeout(() => done(violations), 200))") == []
    assert opened.params("Runtime.exceptionThrown") == []
    assert [each for each in opened.params("Runtime.consoleAPICalled") if each["type"] in ("error", "assert")] == []
    assert [each["entry"]["text"] for each in opened.params("Log.entryAdded")] == []
    assert [each["request"]["url"] for each in opened.params("Network.requestWillBeSent")] == [report.as_uri()]


def test_the_policy_stops_what_the_page_does_not_bring(opened: Tab) -> None:
    opened.run("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,x\" onerror=\"hacked = 1\">')")
    assert opened.run("new Promise(done => setTimeout(() => done(violations.length), 200))") >= 1
    assert opened.run("typeof hacked") == "undefined"


def test_hostile_content_does_not_run_and_is_shown_as_text(opened: Tab) -> None:
    assert opened.run("typeof hacked") == "undefined"
    assert opened.run("document.querySelectorAll('script').length") == 1
    assert opened.run("document.querySelectorAll('img, a, iframe').length") == 0
    assert "<script>hacked = 1</script>" in opened.run("document.querySelector('.page').innerText")


def test_thai_comes_first_and_english_by_the_switch(opened: Tab) -> None:
    assert opened.run("document.querySelector('h1').innerText") == "รายงานผลการตรวจข้อความ"
    assert opened.run("document.documentElement.lang") == "th"
    assert "Message scan report" not in opened.run("document.querySelector('.page').innerText")
    opened.run("document.querySelector('label[for=english]').click()")
    assert opened.run("document.querySelector('h1').innerText") == "Message scan report"
    assert opened.run("document.documentElement.lang") == "en"
    assert "รายงานผล" not in opened.run("document.querySelector('.page').innerText")
    opened.run("document.querySelector('label[for=thai]').click()")
    assert opened.run("document.querySelector('h1').innerText") == "รายงานผลการตรวจข้อความ"


def test_without_scripts_it_can_be_read_in_both_languages(tab: Tab, report: Path) -> None:
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(report)
        assert tab.run("document.querySelector('.copy').offsetParent === null")
        tab.run("document.querySelector('label[for=english]').click()")
        assert tab.run("document.querySelector('h1').innerText") == "Message scan report"
    finally:
        tab.send("Emulation.setScriptExecutionDisabled", value=False)


def test_the_copy_button_gives_the_real_value(opened: Tab) -> None:
    opened.run("navigator.clipboard.writeText = text => { copied = text; return Promise.resolve(); }")
    opened.run("document.querySelector('#indicators .copy').click()")
    assert opened.run("copied").startswith("https://example.com/xxx")
    assert opened.run("document.querySelector('#indicators .copy').dataset.state") == "copied"
    opened.run("document.querySelector('[data-copy-all]').click()")
    assert opened.run("copied").split("\n")[0].startswith("https://example.com/xxx")


def test_where_nothing_can_be_copied_the_real_value_is_selected(opened: Tab) -> None:
    opened.run("navigator.clipboard.writeText = () => Promise.reject(); document.execCommand = () => false;")
    opened.run("document.querySelector('#indicators .copy').click()")
    assert opened.run("document.querySelector('#indicators .copy').dataset.state") == "selected"
    assert opened.run("getSelection().toString()").startswith("https://example.com/xxx")


@pytest.mark.parametrize("language", ["thai", "english"])
@pytest.mark.parametrize("width", [320, 390, 1200])
def test_nothing_runs_out_of_the_page(opened: Tab, width: int, language: str) -> None:
    opened.shown_at(width)
    opened.run(f"document.querySelector('label[for={language}]').click()")
    opened.run("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert opened.run("document.documentElement.scrollWidth - innerWidth") <= 0
    too_wide = (
        "[...document.querySelectorAll('.page *')].filter(each => each.getBoundingClientRect().right > innerWidth + 1)"
        ".map(each => each.outerHTML.slice(0, 100))"
    )
    assert opened.run(too_wide) == []


def test_it_is_dark_where_the_reader_wants_it_dark(opened: Tab) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = opened.run(background)
    opened.shown_at(1200, "dark")
    assert opened.run(background) != light
