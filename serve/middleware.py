"""What surrounds every request: its id, headers, log line and figures; and limits on the body while it arrives.

Plain ASGI: the framework's own base class would read bodies into memory, and hide that a caller is gone.
"""

import asyncio
import logging
import re
import time
import traceback
from collections.abc import Callable, Mapping
from urllib.parse import quote
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve.engine.models import Loaded
from serve.problems import Problem, reply
from serve.service import Service

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
EXPOSED = ("X-Request-Id", "X-Ruthan-Model", "X-Ruthan-Policy", "Retry-After", "Location")  # to pages of other origins
BODY_PACE = 10_000  # bytes a second that a body has to come at in the long run
GONE = 499  # in log and figures: the caller went away before the reply

_FRAMES = 8  # innermost, of a failure that is logged

_log = logging.getLogger("serve.access")


class Envelope:
    """Gives every request an id and every reply the headers, writes the log line, and counts."""

    def __init__(self, app: ASGIApp, service: Callable[[], Service]) -> None:
        self.app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        state = scope.setdefault("state", {})
        given = Headers(scope=scope).get("x-request-id", "")
        state["request_id"] = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._head(scope, message)
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except ClientDisconnect:  # nobody is left to answer
            state["status"] = GONE
        except Exception as error:
            # The text of an error may quote a message; its type and place cannot.
            _log.error("failed", extra={"request_id": state["request_id"], **_place(error)})
            if status:
                raise
            problem = Problem("internal", "nothing is wrong with the request; try again, or tell the operator its id")
            await reply(problem, state["request_id"])(scope, receive, sending)
        finally:
            self._note(scope, state, state.get("status", status) or GONE, time.perf_counter() - started)

    def _head(self, scope: Scope, message: Message) -> None:
        headers, service, state = MutableHeaders(scope=message), self._service(), scope["state"]
        for name, value in standard_headers(service, state["request_id"], state.get("loaded")).items():
            headers.setdefault(name, value)
        if scope.get("scheme") == "https":
            headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        if service.draining:
            headers["Connection"] = "close"  # the next request goes elsewhere

    def _note(self, scope: Scope, state: Mapping[str, object], status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "unknown")  # the pattern: a path may hold an id
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._service().metrics.request(route, method, status, seconds)
        line = {
            "request_id": state["request_id"],
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "key": state.get("key"),
        }
        _log.info("request", extra=line)


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def standard_headers(service: Service, request_id: str, loaded: Loaded | None = None) -> dict[str, str]:
    """What every reply carries.

    :param loaded: the model and the policy that judged, if others than those that answer now.
    """
    loaded = loaded or service.models.current
    versions = {"X-Ruthan-Model": _plain(loaded.model_version), "X-Ruthan-Policy": _plain(loaded.policy_version)}
    return {**_SECURITY, "X-Request-Id": request_id, **versions}


def _plain(version: str) -> str:
    """A version as a header can carry it: a policy may have a Thai name."""
    return quote(version, safe="@.:+-_ ")


def _place(error: Exception) -> dict[str, str]:
    frames = [f"{frame.f_globals.get('__name__')}:{line}" for frame, line in traceback.walk_tb(error.__traceback__)]
    return {"error": type(error).__name__, "at": " ".join(frames[-_FRAMES:])}


class BodyLimit:
    """Refuses a body as soon as it grows beyond a size, whatever its headers say, or stops arriving."""

    def __init__(self, app: ASGIApp, max_bytes: int, exceptions: Mapping[str, int], seconds: float) -> None:
        """:param exceptions: other sizes, by path.
        :param seconds: longest time between two pieces of a body, and for the whole, if `BODY_PACE` gives it no more.
        """
        self.app, self._max_bytes, self._exceptions, self._seconds = app, max_bytes, exceptions, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._exceptions.get(scope["path"], self._max_bytes)
        received, complete = 0, False
        began = time.monotonic()

        async def limited() -> Message:
            nonlocal received, complete
            if complete:  # what comes now is that the caller goes away, whenever that is
                return await receive()
            left = began + self._seconds + received / BODY_PACE - time.monotonic()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, min(self._seconds, left)))
            except TimeoutError:
                raise Problem(
                    "timed-out", f"the body stopped for {self._seconds:g} seconds, or comes too slowly; send it anew"
                ) from None
            received += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if received > limit:
                raise Problem("too-large", f"the request is too large; send at most {limit:,} bytes")
            return message

        await self.app(scope, limited, send)
