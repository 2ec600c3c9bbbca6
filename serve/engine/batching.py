"""Judges messages for many callers at once.

What callers send waits in a bounded queue. Batches are taken off it, one message of each caller in turn, and judged on
threads of their own, so that the event loop stays free. A message that is remembered, waits already, or is being judged
is not judged again.

Batching cannot change a verdict: the scanner reads every text by itself. It saves what each call of it costs, and keeps
one batch looking for evidence while the network reads another.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from serve.engine.answer import Answer, Item, answer_of, digest_of
from serve.engine.cache import VerdictCache
from serve.engine.models import Loaded, Models
from serve.problems import Problem
from serve.settings import Settings
from serve.telemetry.metrics import Metrics
from serve.telemetry.tracing import span

RUNNING = 2  # batches at the same time: one looks for evidence while the network reads the other
CHARACTERS_A_TOKEN = 3  # about, in Thai and in English
EXPLAINED = 10  # times the cost of a message that is not explained, at most
FIRST_RATE = 5_000.0  # tokens a second, until some were measured

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Work:
    """One text to judge, for all who wait for it."""

    item: Item
    digest: str
    explain: bool
    result: asyncio.Future[Answer | Problem]
    waiting: int = 0  # callers; nobody needs a work that none waits for

    @property
    def key(self) -> tuple[str, str, bool]:
        return self.digest, self.item.place, self.explain

    @property
    def tokens(self) -> int:
        return tokens_of(self.item, self.explain)


@dataclass(eq=False)
class _Request:
    """What one caller added to the queue."""

    works: deque[_Work]


def tokens_of(item: Item, explain: bool) -> int:
    """About how many tokens a message costs."""
    return (len(item.text) // CHARACTERS_A_TOKEN + 1) * (EXPLAINED if explain else 1)


@dataclass
class _Rate:
    """Tokens a second, as measured of late."""

    tokens: float = FIRST_RATE
    share: float = field(default=0.1, repr=False)  # of the newest measure

    def measured(self, tokens: int, seconds: float) -> None:
        self.tokens += self.share * (tokens / max(seconds, 1e-6) - self.tokens)


class Engine:
    """Judges messages; for use on one event loop."""

    def __init__(self, models: Models, settings: Settings, metrics: Metrics) -> None:
        self._models, self._settings, self._metrics = models, settings, metrics
        self._cache = VerdictCache(settings.cache_bytes, settings.cache_seconds)
        self._pool = ThreadPoolExecutor(RUNNING, thread_name_prefix="ruthan-batch")
        self._requests: deque[_Request] = deque()
        self._pending: dict[Hashable, _Work] = {}
        self._waiting_items = self._waiting_tokens = 0
        self._batches: set[asyncio.Task[None]] = set()
        self._rate = _Rate()
        self._judging = models.current
        self._stopping = False

    async def start(self) -> None:
        """Begin to judge."""
        self._changed = asyncio.Event()
        self._slots = asyncio.Semaphore(RUNNING)
        self._loop = asyncio.create_task(self._run(), name="ruthan-engine")

    async def stop(self) -> None:
        """Judge all that was accepted, and end."""
        self._stopping = True
        while self._pending:
            await asyncio.wait([work.result for work in self._pending.values()])
        self._loop.cancel()
        await asyncio.gather(self._loop, *self._batches, return_exceptions=True)
        self._pool.shutdown()

    def forget(self, text_digest: str) -> None:
        """Drop what is remembered of a text, by its SHA-256."""
        self._cache.forget(text_digest)

    async def judge(
        self, items: Sequence[Item], explain: bool = False, deadline: float | None = None
    ) -> list[Answer | Problem]:
        """One answer a message, in order; in place of one that could not be judged, a `Problem`.

        All are accepted, or none. When the waiting task is cancelled, what nobody else waits for is not judged.

        :param deadline: seconds from now within which all have to be judged.
        :raises Problem: `queue-full`, `deadline` or `not-ready`.
        """
        if self._stopping:
            raise Problem("not-ready", "the service is stopping; send the request again", retry_after=1)
        loaded = self._current()
        answers: list[Answer | _Work] = []
        new: dict[Hashable, _Work] = {}
        for item in items:
            digest = digest_of(item.text)
            known = self._cache.get(digest, (item.place, explain, loaded.model_digest, loaded.policy_digest))
            self._metrics.cache(known is not None)
            if known is not None:
                answers.append(replace(known, cached=True, loaded=loaded))
                continue
            key = (digest, item.place, explain)
            work = self._pending.get(key) or new.get(key)
            if work is None:
                work = new[key] = _Work(item, digest, explain, asyncio.get_running_loop().create_future())
            answers.append(work)
        self._accept(list(new.values()))
        works = [each for each in answers if isinstance(each, _Work)]
        return await self._awaited(answers, works, deadline) if works else [*answers]  # type: ignore[list-item]

    def _current(self) -> Loaded:
        """What answers now; answers of what did before are of no more use, and would keep its network in memory."""
        if self._models.current is not self._judging:
            self._judging = self._models.current
            self._cache.clear()
        return self._judging

    def _accept(self, new: list[_Work]) -> None:
        if not new:
            return
        if self._waiting_tokens >= self._settings.queue_tokens:
            raise Problem(
                "queue-full",
                "too many messages wait already; send it again after the seconds that Retry-After names",
                retry_after=self._waiting_tokens / self._rate.tokens,
            )
        tokens = sum(work.tokens for work in new)
        for work in new:
            self._pending[work.key] = work
        self._requests.append(_Request(deque(new)))
        self._waits(len(new), tokens)
        self._changed.set()

    def _waits(self, items: int, tokens: int) -> None:
        self._waiting_items += items
        self._waiting_tokens += tokens
        self._metrics.queue(self._waiting_items, self._waiting_tokens)

    async def _awaited(
        self, answers: list[Answer | _Work], works: list[_Work], deadline: float | None
    ) -> list[Answer | Problem]:
        for work in works:
            work.waiting += 1
        try:
            async with asyncio.timeout(deadline):
                await asyncio.wait({work.result for work in works})
        except TimeoutError:
            raise Problem(
                "deadline", f"there was no verdict within {deadline:g} seconds; send it again, or less at a time"
            ) from None
        finally:
            for work in works:
                work.waiting -= 1
                if not work.waiting and not work.result.done():
                    self._drop(work)
        return [each.result.result() if isinstance(each, _Work) else each for each in answers]

    def _drop(self, work: _Work) -> None:
        """Take a work off the queue, if it is still there."""
        for request in self._requests:
            if work in request.works:
                request.works.remove(work)
                self._waits(-1, -work.tokens)
                self._pending.pop(work.key, None)
                work.result.cancel()
                return

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            if not self._waiting_items:
                self._changed.clear()
                continue
            await self._slots.acquire()
            if self._batches and self._waiting_tokens < self._settings.batch_tokens:
                await asyncio.sleep(self._settings.batch_wait_ms / 1000)
            batch = self._take()
            if not batch:
                self._slots.release()
                continue
            task = asyncio.create_task(self._judge(batch))
            self._batches.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._batches.discard(task)
        self._slots.release()

    def _take(self) -> list[_Work]:
        """A batch: one message of each caller in turn, until it is large enough."""
        batch: list[_Work] = []
        tokens = 0
        while self._requests and tokens < self._settings.batch_tokens:
            request = self._requests.popleft()
            if not request.works:
                continue
            work = request.works.popleft()
            batch.append(work)
            tokens += work.tokens
            if request.works:
                self._requests.append(request)
        self._waits(-len(batch), -tokens)
        return batch

    async def _judge(self, batch: list[_Work]) -> None:
        loaded = self._current()
        tokens = sum(work.tokens for work in batch)
        began = time.perf_counter()
        try:
            with span("batch", items=len(batch), tokens=tokens):
                results = await asyncio.get_running_loop().run_in_executor(self._pool, _judged, loaded, batch)
        except BaseException as error:
            results = [_failed(error)] * len(batch)
            if not isinstance(error, Exception):
                raise
        finally:
            seconds = time.perf_counter() - began
            self._rate.measured(tokens * max(1, len(self._batches)), seconds)
            self._metrics.batch(len(batch), tokens, seconds)
            for work, result in zip(batch, results, strict=True):
                self._pending.pop(work.key, None)
                if isinstance(result, Answer) and loaded is self._judging:
                    rest = (work.item.place, work.explain, loaded.model_digest, loaded.policy_digest)
                    self._cache.keep(work.digest, rest, result)
                if not work.result.done():
                    work.result.set_result(result)


def _judged(loaded: Loaded, batch: list[_Work]) -> list[Answer | Problem]:
    """One result a work, in order. Runs on a thread."""
    results: dict[int, Answer | Problem] = {}
    for explain in (False, True):
        some = [work for work in batch if work.explain is explain]
        try:
            found: list[Answer | Problem] = [*_answers(loaded, some)]
        except Exception:  # one of them; the others shall not suffer from it
            found = [_alone(loaded, work) for work in some]
        results |= {id(work): result for work, result in zip(some, found, strict=True)}
    return [results[id(work)] for work in batch]


def _answers(loaded: Loaded, works: list[_Work]) -> list[Answer]:
    explain = bool(works) and works[0].explain
    verdicts = loaded.scanner.scan_many([work.item.message for work in works], explain)
    return [answer_of(verdict, work.digest, loaded) for verdict, work in zip(verdicts, works, strict=True)]


def _alone(loaded: Loaded, work: _Work) -> Answer | Problem:
    try:
        return _answers(loaded, [work])[0]
    except Exception as error:
        return _failed(error)


def _failed(error: BaseException) -> Problem:
    _log.error("a message could not be judged", extra={"error": type(error).__name__})  # its words may quote it
    return Problem("internal", "this message could not be judged; tell the operator the id of the request")
