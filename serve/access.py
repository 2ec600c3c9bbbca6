"""Who may call what, and how often.

A key comes in the header `Authorization: Bearer rtk_…`. On a loopback address, and as long as no key was ever made,
everyone may call, so that a first try needs none; administration needs a key even then.
"""

import hmac
import ipaddress
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import urlsplit

from cachetools import LRUCache
from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter
from sqlalchemy.orm import Session
from starlette.responses import Response

from serve.problems import Problem
from serve.settings import Settings, SettingsError
from serve.storage import keys
from serve.storage.database import Database
from serve.storage.keys import SCOPES
from serve.storage.tables import ApiKey

FRESH_SECONDS = 5.0  # for which a key that was looked up is taken as it was: so long a revoked one may go on
AWAY_SECONDS = 600.0  # for which, while the database is away, keys that were looked up before are
COUNT_SECONDS = 0.25  # within which the common place for rates, if there is one, has to answer
KNOWN_KEYS = 10_000
OPEN = "open"  # who calls without a key
OPEN_SCOPES = frozenset(SCOPES) - {"admin"}
_FORWARDED = {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"}

_log = logging.getLogger(__name__)
_bearer = HTTPBearer(
    auto_error=False, bearerFormat=f"{keys.PREFIX}_…", description="made by `ruthan-serve keys create`"
)


@dataclass(frozen=True)
class Caller:
    """Who calls.

    :param owner: what belongs to the caller is kept under this: the key's id, or that of the key in whose place it was
        made; `OPEN` for all who need none.
    :param key: the key's id.
    :param rate: messages a minute, if the key has a limit of its own.
    :param place: the address, an IPv6 one shortened to its network, to count by; never kept or logged.
    """

    owner: str
    key: str | None
    scopes: frozenset[str]
    rate: int | None
    place: str = field(repr=False)


class Access:
    """Keys and rates of one process."""

    def __init__(self, settings: Settings, database: Database) -> None:
        """:raises SettingsError: there is no such place to count rates in."""
        self._settings, self._database = settings, database
        try:
            # The drivers would wait for ever, and everyone with them.
            timeouts = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), COUNT_SECONDS)
            where = settings.rate_storage.get_secret_value()
            options = timeouts if where.startswith("redis") else {}
            storage = storage_from_string(where, wrap_exceptions=True, **options)
            self._limiter = SlidingWindowCounterRateLimiter(storage)
        except Exception as error:  # the library's own, and those of the drivers; they may quote a password
            raise SettingsError(
                f"RUTHAN_RATE_STORAGE cannot be used: {type(error).__name__}; it is memory:// or a URL such as "
                "redis://host:6379, and its driver has to be installed"
            ) from None
        self._own_limiter = SlidingWindowCounterRateLimiter(MemoryStorage())  # while that place cannot be reached
        self._away_until = 0.0
        self._known: LRUCache[str, tuple[float, ApiKey]] = LRUCache(KNOWN_KEYS)
        self._keyless: tuple[float, bool] = (0.0, False)

    async def caller(self, request: Request, key: str | None) -> Caller:
        """Who calls with this key, or without one.

        :raises Problem: `key-missing`, `key-unknown`, `rate-limited` after many wrong keys, `storage-unavailable`.
        """
        place = place_of(request.client.host if request.client else "")
        if key is None:
            if not await self._open():
                raise Problem("key-missing", "send the header Authorization: Bearer with your API key")
            self._check_local(request)
            return Caller(OPEN, None, OPEN_SCOPES, None, place)
        row = await self._key(key, place, request.app.state.service.database_reachable)
        if row is None or not keys.valid(row):
            self._count("failures", self._settings.failures_per_address, place)
            raise Problem("key-unknown", "this key is unknown, expired or revoked; ask the operator for another")
        return Caller(row.owner, row.id, frozenset(row.scopes.split()), row.rate, place)

    def spend(self, caller: Caller, messages: int = 1) -> None:
        """Count messages against what a caller may send.

        :raises Problem: `rate-limited`.
        """
        if caller.key is None:
            self._count("address", self._settings.rate_per_address, caller.place, messages)
        else:
            rate = self._settings.rate_per_key if caller.rate is None else caller.rate
            self._count("key", rate, caller.owner, messages)

    def _count(self, what: str, rate: int, who: str, cost: int = 1, *, look: bool = False) -> None:
        """:param look: only see whether it could be counted."""
        if not rate:
            return
        if cost > rate:
            raise Problem("rate-limited", f"{cost:,} at once are more than the {rate:,} a minute; send fewer at a time")
        limit = RateLimitItemPerMinute(rate, namespace=what)
        if wait := self._wait(limit, who, cost, look):
            raise Problem(
                "rate-limited",
                f"at most {rate:,} a minute; send it again after the seconds that Retry-After names",
                retry_after=min(60.0, wait),
            )

    def _wait(self, limit: RateLimitItem, who: str, cost: int, look: bool) -> float:
        """Seconds until that much could be counted, 0 if it could or was. Each process counts for itself while the
        common place cannot be reached.
        """
        if time.monotonic() >= self._away_until:
            try:
                return _wait(self._limiter, limit, who, cost, look)
            except StorageError as error:
                self._away_until = time.monotonic() + FRESH_SECONDS
                _log.warning("rates are counted by each worker: %s", type(error.storage_error).__name__)
        return _wait(self._own_limiter, limit, who, cost, look)

    async def _key(self, key: str, place: str, reachable: bool) -> ApiKey | None:
        found = keys.FORM.fullmatch(key)
        if found is None:
            return None
        digest = keys.digest_of(key)
        looked, row = self._known.get(digest, (0.0, None))
        age = time.monotonic() - looked
        # A database that does not answer is not waited for again and again.
        if looked and age < (FRESH_SECONDS if reachable else AWAY_SECONDS):
            return row
        if not looked:
            # Whoever has sent many wrong ones does not get the database to look for more.
            self._count("failures", self._settings.failures_per_address, place, look=True)
        number = found[1]

        def look(session: Session) -> ApiKey | None:
            return session.get(ApiKey, number)

        try:
            row = await self._database.run(look)
        except Problem:
            if looked and age < AWAY_SECONDS:
                return row
            raise
        if row is None or not hmac.compare_digest(row.digest, digest):
            self._known.pop(digest, None)  # wrong ones, of which there is no end, would drive the right ones out
            return None
        self._known[digest] = time.monotonic(), row
        return row

    async def _open(self) -> bool:
        """Whether callers need no key."""
        if self._settings.require_keys or not is_loopback(self._settings.host):
            return False
        looked, answer = self._keyless
        if looked and time.monotonic() - looked < FRESH_SECONDS:
            return answer
        try:
            made = await self._database.run(keys.any_made)
        except Problem:
            if looked and time.monotonic() - looked < AWAY_SECONDS:
                return answer
            raise
        self._keyless = time.monotonic(), not made
        return not made

    def _check_local(self, request: Request) -> None:
        """Neither whom a proxy lets in, nor a page in a browser on this machine, is someone at this machine."""
        if not _FORWARDED.isdisjoint(request.headers):
            raise Problem("key-missing", "callers that come by a proxy need a key")
        if not is_loopback(_host_of(request)):
            raise Problem(
                "key-missing", "without a key call this machine by its loopback address, as in http://127.0.0.1"
            )
        origin = request.headers.get("origin")
        own = f"{request.url.scheme}://{request.headers['host']}"
        if origin is not None and origin != own and origin not in self._settings.cors_origins:
            raise Problem("key-missing", "pages of other origins need a key, or to be named in RUTHAN_CORS_ORIGINS")


def _host_of(request: Request) -> str:
    """The host that a request names, without its port."""
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _wait(limiter: RateLimiter, limit: RateLimitItem, who: str, cost: int, look: bool) -> float:
    if (limiter.test if look else limiter.hit)(limit, who, cost=cost):
        return 0.0
    return max(1.0, limiter.get_window_stats(limit, who).reset_time - time.time())


class KeyFirst(APIRoute):
    """A route that knows who calls before it reads what he sends: the framework would read a body of any stranger."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def handler(request: Request) -> Response:
            await _caller_of(request)
            return await answer(request)

        return handler


def needs(scope: str) -> Any:
    """A dependency: the `Caller`, who has to have this scope."""

    async def caller(request: Request, _: Annotated[Any, Depends(_bearer)]) -> Caller:
        found = await _caller_of(request)
        if scope not in found.scopes:
            raise Problem("scope-missing", f"this needs a key with the scope {scope}; ask the operator for one")
        return found

    return Depends(caller)


async def _caller_of(request: Request) -> Caller:
    found: Caller | None = getattr(request.state, "caller", None)
    if found is None:
        header = request.headers.get("authorization")
        scheme, _, key = (header or "").partition(" ")
        access: Access = request.app.state.service.access
        found = await access.caller(request, key.strip() if key and scheme.lower() == "bearer" else header or None)
        request.state.caller, request.state.key = found, found.key
    return found


def check_may_listen(settings: Settings, database: Database) -> None:
    """:raises SettingsError: others could reach the service, and there is no key that they would need."""
    if is_loopback(settings.host):
        return
    with database.session() as session:
        if not keys.any_valid(session):
            raise SettingsError(
                f"others can reach {settings.host}, and there is no API key yet; make one first: "
                "ruthan-serve keys create NAME --scope scan"
            )


def is_loopback(host: str) -> bool:
    """Whether a host can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def place_of(host: str) -> str:
    """An address to count by: an IPv6 one stands for its network."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):  # whoever has one has 2**64
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False))
    return str(address)
