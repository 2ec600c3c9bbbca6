"""Connections that would hold the service up are closed: those whose request does not arrive, and those too many.

The application sees a request only when its head has arrived, and nothing of what a caller goes on sending when it has
replied, so this cannot be done there.
"""

import asyncio
from typing import Any
from uuid import uuid4

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from serve.middleware import standard_headers
from serve.problems import Problem, reply
from serve.service import Service

HEAD_BYTES = 65_536  # of a request, and of what follows its body, at most

_BUSY = Problem("not-ready", "too many connections are open; try again in a few seconds", retry_after=1)
_NO_HTTP = Problem("no-http", "this is no HTTP/1.1 request; send one as /openapi.json shows it")


class Connection(HttpToolsProtocol):
    """A connection of the server; the limits are those of the service that the application's lifespan hands over."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._service: Service = self.app_state["service"]
        self._due: asyncio.TimerHandle | None = None  # while the rest of something has to arrive
        self._in_head = self._in_message = False
        self._apart = 0  # bytes that came since any that belong to a body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._service.metrics.connections(len(self.connections))
        if len(self.connections) > self._service.settings.max_connections:
            self._refuse(_BUSY)
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)
        self._service.metrics.connections(len(self.connections))

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self._apart += len(data)
        super().data_received(data)
        if (self._in_head or self._in_message) and self._apart > HEAD_BYTES:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        self._refuse(_NO_HTTP)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()
        self._in_message = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # those that follow a body are of no use, and there may be no end of them
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._apart = False, 0
        self._arrived()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._apart = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_message, self._apart = False, 0
        self._arrived()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_message and self.cycle.response_complete:
            # Closed at once, the reply could be lost with what the caller still sends.
            self._await()

    def _await_head(self) -> None:
        if not self._in_head:
            self._in_head, self._apart = True, 0
            self._await()

    def _await(self) -> None:
        if self._due is None:
            self._due = self.loop.call_later(self._service.settings.header_seconds, self.transport.close)

    def _arrived(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _refuse(self, problem: Problem) -> None:
        request_id = uuid4().hex
        answer = reply(problem, request_id)
        answer.headers.update({**standard_headers(self._service, request_id), "Connection": "close"})
        head = b"".join(b"%s: %s\r\n" % each for each in answer.raw_headers)
        self.transport.write(STATUS_LINE[problem.status] + head + b"\r\n" + bytes(answer.body))
        self.transport.close()
