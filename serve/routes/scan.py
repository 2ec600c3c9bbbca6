"""Judge messages: one, a list, or one with the words that the model went by."""

import asyncio
from collections.abc import Awaitable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Query, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from ruthan.errors import MessageError
from serve import problems
from serve.access import Caller, KeyFirst, needs
from serve.engine.answer import Answer, Item
from serve.problems import Problem
from serve.schemas import LONGEST_CHANNEL, BatchRequest, BatchResponse, ItemError, ScanRequest, Verdict
from serve.service import Service, ServiceDep
from serve.settings import Settings

T = TypeVar("T")

SCAN_HELP = 'send a JSON object with the message in "text", as in {"text": "สวัสดี"}'
EXPLAINED = 10  # times the cost of a message that is not explained, at most

router = APIRouter(tags=["scan"], route_class=KeyFirst)

ScanCaller = Annotated[Caller, needs("scan")]
Explain = Annotated[bool, Query(description="also say which words the model went by, at up to ten times the cost")]
Deadline = Annotated[
    float | None,
    Header(
        alias="X-Deadline-Seconds",
        ge=0.1,
        le=3_600,
        description="seconds within which the caller needs the answer, if that is less than the service gives itself",
    ),
]
_PROBLEMS = problems.responses(*problems.ANY, "text-too-long", "batch-too-large", "queue-full", "deadline")


@router.post("/v1/scan", response_model=Verdict, responses=_PROBLEMS)
async def scan(
    request: Request,
    body: ScanRequest,
    service: ServiceDep,
    caller: ScanCaller,
    explain: Explain = False,
    deadline: Deadline = None,
) -> Response:
    """Judge one message."""
    return await _one(request, body, service, caller, explain, deadline)


@router.post("/v1/explain", response_model=Verdict, responses=_PROBLEMS)
async def explain(
    request: Request, body: ScanRequest, service: ServiceDep, caller: ScanCaller, deadline: Deadline = None
) -> Response:
    """Judge one message, and say which words the model went by: the same as a scan with `explain=true`."""
    return await _one(request, body, service, caller, True, deadline)


@router.post("/v1/scan/batch", response_model=BatchResponse, responses=_PROBLEMS)
async def scan_batch(
    request: Request,
    body: BatchRequest,
    service: ServiceDep,
    caller: ScanCaller,
    explain: Explain = False,
    deadline: Deadline = None,
) -> Response:
    """Judge a list of messages: one result a message, in order. One that cannot be read never fails the others."""
    settings = service.settings
    most = most_at_once(settings, explain)
    if len(body.messages) > most:
        raise Problem(
            "batch-too-large",
            f"{len(body.messages):,} messages; send at most {most:,} at a time",
            extra={"limit": most},
        )
    results: list[bytes | None] = []
    items: list[Item] = []
    for message in body.messages:
        try:
            items.append(_item(message, settings))
            results.append(None)
        except MessageError as error:
            results.append(_error(str(error)))
    characters = sum(len(item.text) for item in items)
    limit = settings.max_batch_characters // (EXPLAINED if explain else 1)
    if characters > max(limit, settings.max_text_length):
        raise Problem(
            "batch-too-large",
            f"the texts have {characters:,} characters; send at most {limit:,} at a time",
            extra={"limit": limit},
        )
    service.access.spend(caller, max(1, len(items)))
    answers = iter(await _judged(request, service, items, explain, deadline) if items else [])
    told = [_told(next(answers)) if result is None else result for result in results]
    return Response(b'{"results":[' + b",".join(told) + b"]}", media_type="application/json")


def most_at_once(settings: Settings, explain: bool) -> int:
    """How many messages a batch may hold."""
    return max(1, settings.max_batch // EXPLAINED) if explain else settings.max_batch


async def _one(
    request: Request, body: ScanRequest, service: Service, caller: Caller, explain: bool, deadline: float | None
) -> Response:
    try:
        item = _item({"text": body.text, "channel": body.channel}, service.settings)
    except TooLong as error:
        raise Problem("text-too-long", str(error), extra={"limit": service.settings.max_text_length}) from None
    except MessageError as error:
        raise Problem("bad-request", str(error)) from None
    service.access.spend(caller)
    [answer] = await _judged(request, service, [item], explain, deadline)
    if isinstance(answer, Problem):
        raise answer
    return Response(answer.body, media_type="application/json")


class TooLong(MessageError):
    """A text has more code points than the service reads."""


def _item(message: Any, settings: Settings) -> Item:
    """What there is to judge; errors never quote it.

    :raises MessageError: there is no text, or it or the channel cannot be taken.
    """
    if not isinstance(message, dict) or not isinstance(message.get("text"), str):
        raise MessageError(SCAN_HELP)
    text, channel = message["text"], message.get("channel")
    if len(text) > settings.max_text_length:
        most = settings.max_text_length
        raise TooLong(f"the text has {len(text):,} characters; send at most {most:,}, or in parts")
    if channel is not None and (not isinstance(channel, str) or len(channel) > LONGEST_CHANNEL):
        raise MessageError(f'send as "channel" a name such as "sms", of at most {LONGEST_CHANNEL} characters, or none')
    return Item(text, channel)


async def _judged(
    request: Request, service: Service, items: list[Item], explain: bool, deadline: float | None
) -> list[Answer | Problem]:
    longest = service.settings.deadline_seconds
    answers = await _while_connected(request, service.engine.judge(items, explain, min(longest, deadline or longest)))
    service.texts.keep((item.text, item.channel) for item in items)
    for answer in answers:
        if isinstance(answer, Answer):
            request.state.loaded = answer.loaded
            service.metrics.verdict(answer.label, answer.action)
    return answers


async def _while_connected(request: Request, work: Awaitable[T]) -> T:
    """Wait for work, and give it up when the caller goes away.

    :raises ClientDisconnect: that happened.
    """
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return await working
    finally:
        working.cancel()
        gone.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _told(answer: Answer | Problem) -> bytes:
    return _error(str(answer.detail)) if isinstance(answer, Problem) else answer.body


def _error(what: str) -> bytes:
    return ItemError(error=what).model_dump_json().encode()
