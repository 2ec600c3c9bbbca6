"""Connections that would hold the service up are closed: those whose request does not arrive, and those too many.

The application sees a request only when its head has arrived, so this cannot be done there.
"""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serve.problems import MEDIA_TYPE, Problem
from serve.service import Service

HEAD_BYTES = 65_536  # of a request, at most

_BUSY = Problem("not-ready", "too many connections are open; try again in a few seconds", retry_after=1)


class Connection(HttpToolsProtocol):
    """A connection of the server; the limits are those of the service that the application's lifespan hands over."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._service: Service = self.app_state["service"]
        self._due: asyncio.TimerHandle | None = None  # while the head of a request is awaited
        self._head = 0  # bytes of it so far

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._service.metrics.connections(len(self.connections))
        if len(self.connections) > self._service.settings.max_connections:
            transport.write(_refusal())
            transport.close()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)
        self._service.metrics.connections(len(self.connections))

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self._due is not None:
            self._head += len(data)
        super().data_received(data)
        if self._due is not None and self._head > HEAD_BYTES:
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._head_arrived()
        super().on_headers_complete()

    def _await_head(self) -> None:
        if self._due is None:
            self._head = 0
            self._due = self.loop.call_later(self._service.settings.header_seconds, self.transport.close)

    def _head_arrived(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


def _refusal() -> bytes:
    body = json.dumps(_BUSY.document("none")).encode()
    head = f"HTTP/1.1 {_BUSY.status} Service Unavailable\r\ncontent-type: {MEDIA_TYPE}\r\nretry-after: 1\r\n"
    return f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body
