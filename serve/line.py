"""A LINE bot: whoever forwards it a message is told, in Thai, what it looks like, why, and what to do.

Takes the webhooks of the Messaging API (developers.line.biz) and replies through it. No text is kept or logged,
whatever the settings say: people write here in need, and may take a message back.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from cachetools import TTLCache
from fastapi import APIRouter, FastAPI, Header, Request
from sqlalchemy import delete
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response

from ruthan.verdict import Verdict
from serve import problems
from serve.engine.answer import Answer, Item, digest_of
from serve.line_sentences import Sentences, default_sentences
from serve.problems import Problem
from serve.service import Service, ServiceDep
from serve.settings import Settings, SettingsError
from serve.storage.tables import LineEvent

API = "https://api.line.me"
REPLY_SECONDS = 10.0  # for LINE to take a reply
ATTEMPTS = 3  # to hand it over; a reply token works once, so none is said twice
QUIET_SECONDS = 600.0  # after a warning, in which a group is not warned of the same text again
REMEMBERED = 10_000  # events and warnings, in memory
KEPT_SECONDS = 86_400.0  # for which an event is remembered; LINE delivers anew within minutes or hours

_log = logging.getLogger(__name__)


def router(settings: Settings, api: str = API) -> APIRouter:
    """The webhook, for a channel whose secret and token are in the settings.

    :param api: where replies go.
    :raises SettingsError: there is no such channel.
    :raises DataError: the sentences that come with ruthan cannot be used.
    """
    if not settings.line_channel_secret or not settings.line_channel_token:  # anyone can sign with an empty secret
        raise SettingsError("the LINE bot needs RUTHAN_LINE_CHANNEL_SECRET and RUTHAN_LINE_CHANNEL_TOKEN")
    secret = settings.line_channel_secret.get_secret_value().encode()
    line = _Line(api, settings.line_channel_token.get_secret_value())
    bot = _Bot(line, default_sentences())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with line.client:
            yield

    routes = APIRouter(tags=["line"], lifespan=lifespan)

    @routes.post(
        "/line/webhook",
        response_class=JSONResponse,
        openapi_extra=_BODY,
        responses={
            200: {"description": "taken; replies follow", "content": {"application/json": {"schema": _EMPTY}}},
            **problems.responses("key-unknown", "bad-request", "timed-out", "too-large", "internal"),
        },
    )
    async def webhook(
        request: Request,
        service: ServiceDep,
        signature: Annotated[
            str | None, Header(alias="X-Line-Signature", description="HMAC-SHA256 of the body, in Base64")
        ] = None,
    ) -> Response:
        """For LINE to call. Each event is answered once, also where LINE delivers it twice."""
        body = await request.body()
        if not signed(body, signature or "", secret):
            raise Problem(
                "key-unknown",
                "X-Line-Signature does not fit the body; RUTHAN_LINE_CHANNEL_SECRET has to be that of the channel",
            )
        # LINE waits for two seconds, and a database may take longer.
        return JSONResponse({}, background=BackgroundTask(bot.take, service, _events(body)))

    return routes


def signed(body: bytes, signature: str, secret: bytes) -> bool:
    """Whether a webhook comes from LINE; compared in constant time."""
    expected = base64.b64encode(hmac.digest(secret, body, hashlib.sha256))
    return hmac.compare_digest(expected, signature.encode("utf-8", "replace"))


class _Line:
    """The Messaging API, as far as it is used here."""

    def __init__(self, api: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self.client = httpx.AsyncClient(base_url=api, headers=headers, timeout=REPLY_SECONDS)

    async def reply(self, token: str, text: str, quoted: str | None) -> None:
        """Hand a reply over; one that is not taken is logged and left."""
        message = {"type": "text", "text": text} | ({"quoteToken": quoted} if quoted else {})
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(attempt)
            try:
                answer = await self.client.post(
                    "/v2/bot/message/reply", json={"replyToken": token, "messages": [message]}
                )
            except httpx.TransportError as error:
                failure: str | int = type(error).__name__
                continue
            if answer.is_success:
                return
            failure = answer.status_code
            if answer.status_code != 429 and answer.status_code < 500:  # such as a token that has run out
                break
        _log.warning("a reply was not taken by LINE", extra={"reason": failure})


def _events(body: bytes) -> list[dict[str, Any]]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        content = None
    events = content.get("events") if isinstance(content, dict) else None
    if not isinstance(events, list):
        raise Problem("bad-request", "a webhook of the Messaging API has a list of events")
    return [event for event in events if isinstance(event, dict)]


def _asks(event: dict[str, Any]) -> bool:
    """Whether an event wants an answer. In `standby` another bot of the channel gives it."""
    wanted = event.get("type") in ("message", "follow", "join") and event.get("mode") != "standby"
    return wanted and isinstance(event.get("replyToken"), str)


def _id(event: dict[str, Any]) -> str:
    """What an event is remembered by; the token for its reply is as much its own."""
    return hashlib.sha256(
        str(event.get("webhookEventId") or event["replyToken"]).encode("utf-8", "surrogatepass")
    ).hexdigest()


class _Bot:
    """Answers events, each once."""

    def __init__(self, line: _Line, sentences: Sentences) -> None:
        self._line, self._sentences = line, sentences
        self._taken: TTLCache[str, bool] = TTLCache(REMEMBERED, KEPT_SECONDS)  # for when the database is away
        self._warned: TTLCache[tuple[str, str], bool] = TTLCache(REMEMBERED, QUIET_SECONDS)

    async def take(self, service: Service, events: list[dict[str, Any]]) -> None:
        """Answer those events that want it, and were not taken before."""
        new = await self._new(service, {_id(event): event for event in events if _asks(event)})
        for failure in await asyncio.gather(*(self._reply_to(service, event) for event in new), return_exceptions=True):
            if isinstance(failure, Exception):  # its words may quote a message
                _log.error("an event of LINE was not answered", extra={"error": type(failure).__name__})

    async def _new(self, service: Service, events: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """Those of events, by their ids, that were not taken before, by this worker or another."""
        ids = sorted(events.keys() - self._taken.keys())
        if not ids:
            return []
        self._taken.update(dict.fromkeys(ids, True))

        def take(session: Session) -> set[str]:
            now = time.time()
            session.execute(delete(LineEvent).where(LineEvent.received_at < now - KEPT_SECONDS))
            insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
            rows = [{"id": each, "received_at": now} for each in ids]
            return set(session.scalars(insert(LineEvent).values(rows).on_conflict_do_nothing().returning(LineEvent.id)))

        try:
            taken = await service.database.run(take)
        except Problem as problem:  # better answered by two workers than by none
            _log.warning("events of LINE are not remembered: %s", problem.kind)
            taken = set(ids)
        return [event for number, event in events.items() if number in taken]

    async def _reply_to(self, service: Service, event: dict[str, Any]) -> None:
        found = await self._answer(service, event)
        if found is not None:
            quoted = found[1]
            await self._line.reply(event["replyToken"], found[0], quoted if isinstance(quoted, str) else None)

    async def _answer(self, service: Service, event: dict[str, Any]) -> tuple[str, Any] | None:
        """What to say to an event, and the token of the message to quote; None for nothing."""
        if event["type"] != "message":
            return self._sentences[event["type"]], None
        text = _field(event, "message", "text")
        alone = _field(event, "source", "type") == "user"
        asked = alone or _mentioned(event)
        if not isinstance(text, str):
            return (self._sentences["no_text"], None) if alone and _first_of_its_set(event) else None
        verdict = await _verdict(service, text, alone)
        if not isinstance(verdict, Verdict):
            return (self._sentences[verdict], None) if asked else None
        if not asked and (verdict.action != "block" or self._just_warned(event, text)):
            return None
        return self._sentences.of_verdict(verdict), None if verdict.needs_help else _field(
            event, "message", "quoteToken"
        )

    def _just_warned(self, event: dict[str, Any], text: str) -> bool:
        """Whether a group was warned of the same text a short while ago."""
        group = _field(event, "source", "groupId") or _field(event, "source", "roomId")
        key = str(group), digest_of(text)
        known = key in self._warned
        self._warned[key] = True
        return known


async def _verdict(service: Service, text: str, alone: bool) -> Verdict | str:
    """The verdict on a text, or the name of the sentence that says why there is none."""
    if len(text) > service.settings.max_text_length:
        return "too_long"
    try:
        # Who writes to the bot alone passes on what he got elsewhere.
        items = [Item(text, "forward" if alone else "chat")]
        [answer] = await service.engine.judge(items, deadline=service.settings.deadline_seconds)
    except Problem as problem:
        answer = problem
    if not isinstance(answer, Answer):
        _log.warning("a message of LINE has no verdict: %s", answer.kind)
        return "busy"
    service.metrics.verdict(answer.label, answer.action)
    return Verdict.from_dict(json.loads(answer.body))


def _mentioned(event: dict[str, Any]) -> bool:
    """Whether a message calls the bot by its name."""
    mentioned = _field(event, "message", "mention", "mentionees")
    return isinstance(mentioned, list) and any(
        isinstance(each, dict) and each.get("isSelf") is True for each in mentioned
    )


def _first_of_its_set(event: dict[str, Any]) -> bool:
    """Whether an image stands alone, or is the first of those sent together."""
    return _field(event, "message", "imageSet", "index") in (None, 1)


def _field(event: dict[str, Any], *path: str) -> Any:
    value: Any = event
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


_EMPTY = {"type": "object", "maxProperties": 0}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "a webhook of the Messaging API",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["destination", "events"],
                    "properties": {
                        "destination": {"type": "string"},
                        "events": {"type": "array", "items": {"type": "object"}},
                    },
                },
                "example": {
                    "destination": "U00000000000000000000000000000000",
                    "events": [
                        {
                            "type": "message",
                            "message": {"type": "text", "id": "1", "quoteToken": "q", "text": "คุณได้รับสิทธิ์กู้ 50,000 บาท"},
                            "timestamp": 1_795_737_600_000,
                            "source": {"type": "user", "userId": "U00000000000000000000000000000001"},
                            "replyToken": "0f3779fba3b349968c5d07db31eab56f",
                            "mode": "active",
                            "webhookEventId": "01KB00000000000000000000R7",
                            "deliveryContext": {"isRedelivery": False},
                        }
                    ],
                },
            }
        },
    }
}
