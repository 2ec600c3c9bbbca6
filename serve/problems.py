"""The errors of the service, as problem documents (RFC 9457): what is wrong, and what to send instead.

Routes, and all that stands below them, raise `Problem`; `serve.app` turns it into the reply. Every kind stands once, in
`KINDS`, and docs/serving.md lists them all.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:ruthan:problem:"


@dataclass(frozen=True)
class Kind:
    """A kind of problem: the status of the reply, and a title that is the same for all of the kind."""

    status: int
    title: str


KINDS = {
    "no-http": Kind(400, "This is no HTTP request"),
    "bad-request": Kind(422, "The request cannot be understood"),
    "text-too-long": Kind(422, "A text is too long"),
    "batch-too-large": Kind(422, "Too many messages, or too long ones, in one batch"),
    "key-missing": Kind(401, "An API key is needed"),
    "key-unknown": Kind(401, "The API key is unknown, expired or revoked"),
    "scope-missing": Kind(403, "The API key has not the scope that this needs"),
    "not-allowed": Kind(403, "This is switched off here"),
    "not-found": Kind(404, "There is no such thing"),
    "method-not-allowed": Kind(405, "This path does not take this method"),
    "timed-out": Kind(408, "The request did not arrive in time"),
    "conflict": Kind(409, "This cannot be done in the present state"),
    "too-large": Kind(413, "The request is too large"),
    "rate-limited": Kind(429, "Too many requests"),
    "queue-full": Kind(429, "The service is busy"),
    "internal": Kind(500, "The service failed"),
    "storage-unavailable": Kind(503, "The database cannot be reached"),
    "not-ready": Kind(503, "The service is starting or stopping"),
    "deadline": Kind(504, "No verdict within the time given"),
    "storage-full": Kind(507, "The disk of the service is full"),
}


class Problem(HTTPException):  # the framework lets no other exception through where it reads a body
    """Raised anywhere below a route, and answered as a problem document; never quotes a message.

    :param kind: one of `KINDS`.
    :param detail: what is wrong with this request, and what to send or do instead.
    :param retry_after: seconds after which to try again, for the header `Retry-After`.
    :param extra: further members of the document.
    """

    def __init__(
        self, kind: str, detail: str, *, retry_after: float | None = None, extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(KINDS[kind].status, detail)
        self.kind, self.retry_after = kind, retry_after
        self.extra = dict(extra or {})

    @property
    def status(self) -> int:
        """The status of the reply."""
        return self.status_code

    def document(self, request_id: str) -> dict[str, Any]:
        """The members of the problem document."""
        return {
            "type": TYPE + self.kind,
            "title": KINDS[self.kind].title,
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:ruthan:request:{request_id}",
            **self.extra,
        }


def reply(problem: Problem, request_id: str) -> JSONResponse:
    """The reply to a request that ended in a problem."""
    headers: dict[str, str] = {}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(problem.retry_after)))
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="ruthan"'
    return JSONResponse(problem.document(request_id), problem.status, headers, MEDIA_TYPE)


def of_status(status: int, detail: str) -> Problem:
    """The problem behind a status that the framework gave."""
    kinds = {404: "not-found", 405: "method-not-allowed"}
    return Problem(
        kinds.get(status, "bad-request" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "internal"), detail
    )


def responses(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """What a route's OpenAPI says of the problems that it may answer with."""
    grouped: dict[int | str, list[str]] = {}
    for kind in kinds:
        grouped.setdefault(KINDS[kind].status, []).append(kind)
    return {
        status: {
            "description": "; ".join(KINDS[kind].title for kind in names),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, names in grouped.items()
    }


ANY = ("key-missing", "scope-missing", "timed-out", "too-large", "bad-request", "rate-limited", "internal", "not-ready")

SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "What is wrong, and what to send or do instead (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "enum": [TYPE + kind for kind in KINDS]},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is wrong with this request, and what to do instead"},
        "instance": {"type": "string", "description": "names the request, as X-Request-Id does"},
    },
    "examples": [
        {
            "type": TYPE + "text-too-long",
            "title": KINDS["text-too-long"].title,
            "status": 422,
            "detail": "the text has 25,000 characters; send at most 20,000, or in parts",
            "instance": "urn:ruthan:request:5f0c2c1e7a8b4f0e9d3a6b1c2d4e8f70",
        }
    ],
}
