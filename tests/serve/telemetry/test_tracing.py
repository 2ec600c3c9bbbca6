import gzip
import json
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from serve.telemetry.tracing import span

Serve = Callable[..., Any]
TEXT = "คุณได้รับอนุมัติวงเงินกู้ โอนค่าค้ำประกันก่อนรับเงิน แอดไลน์ @easyloan-th"


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """A place that takes traces by OTLP over HTTP."""
    taken: list[bytes] = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append(gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Taking)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    thread.join()
    server.server_close()


def test_requests_and_batches_are_traced_without_texts_queries_or_callers(
    serving: Serve, collector: tuple[str, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    proto = pytest.importorskip(
        "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="needs the extra tracing"
    )
    url, taken = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
    found = serving()
    headers = {"content-type": "application/json", "user-agent": "Secretagent/5"}
    for path in ("/v1/scan", "/v1/jobs?name=secretname.txt"):
        request = urllib.request.Request(
            f"{found.url}{path}",
            json.dumps({"text": TEXT}).encode(),
            headers,
        )
        urllib.request.urlopen(request).close()
    end = time.monotonic() + 20
    names: set[str] = set()
    spans: list[Any] = []
    while not {"POST /v1/scan", "POST /v1/jobs", "batch"} <= names:
        assert time.monotonic() < end, names
        time.sleep(0.1)
        spans = [
            each
            for body in taken
            for resource in proto.ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for each in scope.spans
        ]
        names = {each.name for each in spans}
    callers = [each.value.string_value for span in spans for each in span.attributes if "peer" in each.key]
    assert callers
    assert not any(callers)
    everything = b"".join(taken)
    for hidden in ("easyloan", "กู้", "secretname", "Secretagent"):
        assert hidden.encode() not in everything


def test_without_a_collector_a_span_costs_nothing() -> None:
    with span("batch", items=1) as nothing:
        assert nothing is None
