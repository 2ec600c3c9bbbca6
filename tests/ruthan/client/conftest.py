"""A service whose every answer a test lays down, on a real socket; and both clients, to be told the same."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ruthan.client import AsyncClient, Client, protocol
from ruthan.verdict import Verdict

LIMITS = {
    "max_text_length": 100,
    "max_batch": 4,
    "max_batch_explained": 2,
    "max_batch_characters": 200,
    "max_body_bytes": 10_000,
    "max_upload_bytes": 1_000_000,
    "deadline_seconds": 10,
}
MODEL = {
    "name": "m",
    "model_version": "m@1",
    "labels": ["benign"],
    "policy": "default",
    "policy_version": "default@2",
    "window_tokens": 512,
    "licence": "",
    "attribution": "",
    "metrics": {},
    "limits": LIMITS,
}


@dataclass
class Request:
    """What arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Answer:
    """What is to be answered; `drop` breaks the connection off in the middle of it, `pause` waits before."""

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    pause: float = 0.0


class Script:
    """A service that answers what it is told to, in order."""

    model = MODEL

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[Request] = []
        self._answers: list[Answer] = []
        self._always: Callable[[Request], Any] | None = None

    def answers(self, body: Any, status: int = 200, **more: Any) -> "Script":
        self._answers.append(Answer(body, status, **more))
        return self

    def refuses(self, status: int, kind: str, detail: str = "no", **headers: str) -> "Script":
        document = {"type": f"urn:ruthan:problem:{kind}", "title": "t", "status": status, "detail": detail}
        return self.answers(document, status, headers={"Content-Type": "application/problem+json", **headers})

    def drops(self, body: bytes = b"") -> "Script":
        return self.answers(body, drop=True)

    def always(self, answer: Callable[[Request], Any]) -> "Script":
        """What is answered where nothing else is laid down."""
        self._always = answer
        return self

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]

    def answer(self, request: Request) -> Answer:
        self.requests.append(request)
        if self._answers:
            return self._answers.pop(0)
        if request.path == "/v1/model":
            return Answer(MODEL)
        return Answer(self._always(request)) if self._always else Answer("nothing was laid down", 418)


@pytest.fixture
def script() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.headers.get("transfer-encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = script.answer(Request(self.command, self.path, headers, body))
            time.sleep(answer.pause)
            self.close_connection = answer.drop
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            if answer.drop and not content:
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if answer.drop else content)

        do_GET = do_POST = do_DELETE = handle_any

        def log_message(self, *given: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *given: Any) -> None:
            """A client that waited no longer."""

    with Server(("127.0.0.1", 0), Handler) as server:
        script.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield script
        server.shutdown()
        thread.join()


@pytest.fixture
def verdict() -> Verdict:
    """A verdict like any other."""
    return Verdict(0.9, "loan", "review", {"loan": 0.9}, (), ("ก",), ("a",), (), (), False, None, "m", "default", 1)


def _sync(url: str, work: Callable[[Any], Any], **options: Any) -> Any:
    with Client(url, **options) as client:
        result = work(client)
        return list(result) if hasattr(result, "__next__") else result


def _async(url: str, work: Callable[[Any], Any], **options: Any) -> Any:
    async def run() -> Any:
        async with AsyncClient(url, **options) as client:
            result = work(client)
            return [each async for each in result] if hasattr(result, "__anext__") else await result

    return asyncio.run(run())


@pytest.fixture(params=[_sync, _async], ids=["Client", "AsyncClient"])
def do(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Has a client of either kind do something, and gives the result, what is streamed as a list; retries are swift."""
    monkeypatch.setattr(protocol, "PAUSES", (0.01, 0.02))
    monkeypatch.setattr(protocol, "LOOKS", (0.01, 0.02))
    return request.param
