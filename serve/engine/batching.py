"""Judges messages for many callers at once.

What callers send waits in a bounded queue. Batches are taken off it and judged on threads of their own, so that the
event loop stays free. A message that is remembered, waits already, or is being judged is not judged again.

Batching cannot change a verdict: the scanner reads every text by itself. It saves what each call of it costs, and keeps
one batch looking for evidence while the network reads another.
"""

import asyncio
import logging
import time
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from serve.engine.answer import Answer, Item, answer_of, digest_of
from serve.engine.cache import VerdictCache
from serve.engine.lanes import Lanes, Work, tokens_of
from serve.engine.models import Loaded, Models
from serve.problems import Problem
from serve.settings import Settings
from serve.telemetry.metrics import Metrics
from serve.telemetry.tracing import span

RUNNING = 2  # batches at the same time: one looks for evidence while the network reads the other
HUGE = 1  # of them that may be a huge work: whatever is sent, one is left for all others
FIRST_RATE = 5_000.0  # tokens a second, until some were measured

_log = logging.getLogger(__name__)


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
        self._lanes = Lanes(settings.batch_tokens)
        self._pending: dict[Hashable, Work] = {}
        self._batches: set[asyncio.Task[None]] = set()
        self._huge = 0  # of them
        self._rate = _Rate()
        self._judging = models.current
        self._stopping = False

    async def start(self) -> None:
        """Begin to judge."""
        self._changed = asyncio.Event()
        self._loop = asyncio.create_task(self._run(), name="ruthan-engine")

    async def stop(self) -> None:
        """Judge all that was accepted, within `drain_seconds`, and end."""
        self._stopping = True
        if self._pending:
            await asyncio.wait([work.result for work in self._pending.values()], timeout=self._settings.drain_seconds)
        self._loop.cancel()
        await asyncio.gather(self._loop, *self._batches, return_exceptions=True)
        self._pool.shutdown()

    def forget(self, text_digest: str) -> None:
        """Drop what is remembered of a text, by its SHA-256."""
        self._cache.forget(text_digest)

    async def judge(
        self, items: Sequence[Item], explain: bool = False, deadline: float | None = None
    ) -> list[Answer | Problem]:
        """One answer a message, in order, all of one model and policy; in place of one that could not be judged, a
        `Problem`.

        All are accepted, or none. When the waiting task is cancelled, what nobody else waits for is not judged.

        :param deadline: seconds from now within which all have to be judged.
        :raises Problem: `queue-full`, `deadline` or `not-ready`.
        """
        if self._stopping:
            raise Problem("not-ready", "the service is stopping; send the request again", retry_after=1)
        loaded = self._current()
        answers: list[Answer | Work] = []
        new: dict[Hashable, Work] = {}
        joined: list[Work] = []
        for item in items:
            digest = digest_of(item.text)
            rest = (item.place, explain, loaded.model_digest, loaded.policy_digest)
            known = self._cache.get(digest, rest)
            self._metrics.cache(known is not None)
            if known is not None:
                answers.append(replace(known, cached=True, loaded=loaded))
                continue
            key = (digest, rest)
            if (work := self._pending.get(key)) is not None:
                joined.append(work)
            elif (work := new.get(key)) is None:
                tokens = tokens_of(item.text, explain, loaded.window_tokens)
                work = new[key] = Work(item, digest, explain, loaded, tokens, _future())
            answers.append(work)
        self._accept(new, joined)
        works = [each for each in answers if isinstance(each, Work)]
        return await self._awaited(answers, works, deadline) if works else [*answers]  # type: ignore[list-item]

    def _current(self) -> Loaded:
        """What answers now; answers of what did before are of no more use, and would keep its network in memory."""
        if self._models.current is not self._judging:
            self._judging = self._models.current
            self._cache.clear()
        return self._judging

    def _accept(self, new: dict[Hashable, Work], joined: list[Work]) -> None:
        lane = self._lanes.lane_for((*new.values(), *joined))
        tokens = lane.tokens + sum(work.tokens for work in new.values())
        if lane.items and new and tokens > self._settings.queue_tokens:  # one request is taken whatever its size
            raise Problem(
                "queue-full",
                "too many messages wait already; send it again after the seconds that Retry-After names",
                retry_after=self._lanes.tokens_ahead(lane) / self._rate.tokens,
            )
        self._pending |= new
        self._lanes.hasten(joined, lane)
        self._lanes.add(new.values(), lane)
        self._tell()
        self._changed.set()

    def _tell(self) -> None:
        self._metrics.queue(self._lanes.items, self._lanes.tokens)

    async def _awaited(
        self, answers: list[Answer | Work], works: list[Work], deadline: float | None
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
                if not work.waiting and work.lane is not None:
                    self._drop(work)
            self._tell()
        return [each.result.result() if isinstance(each, Work) else each for each in answers]

    def _drop(self, work: Work) -> None:
        """Nobody waits any more for a work that was not taken yet."""
        assert work.lane is not None
        work.lane.remove(work)
        self._pending.pop((work.digest, work.rest), None)
        work.result.cancel()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while len(self._batches) < RUNNING and self._lanes.items:
                if self._batches and self._lanes.tokens < self._settings.batch_tokens:
                    await asyncio.sleep(self._settings.batch_wait_ms / 1000)
                batch = self._lanes.take(huge=self._huge < HUGE)
                if not batch:
                    break
                self._tell()
                task = asyncio.create_task(self._judge(batch))
                self._batches.add(task)
                self._huge += batch[0].huge
                task.add_done_callback(partial(self._done, huge=batch[0].huge))

    def _done(self, task: "asyncio.Task[None]", huge: bool) -> None:
        self._batches.discard(task)
        self._huge -= huge
        self._changed.set()

    async def _judge(self, batch: list[Work]) -> None:
        loaded = batch[0].loaded
        tokens = sum(work.tokens for work in batch)
        running = len(self._batches)
        began = time.perf_counter()
        results: list[Answer | Problem] = []
        try:
            with span("batch", items=len(batch), tokens=tokens):
                results = await asyncio.get_running_loop().run_in_executor(self._pool, _judged, loaded, batch)
        except Exception as error:
            results = [_failed(error)] * len(batch)
        finally:
            results = results or [_failed(asyncio.CancelledError())] * len(batch)
            for work, result in zip(batch, results, strict=True):
                self._pending.pop((work.digest, work.rest), None)
                if not work.result.done():
                    work.result.set_result(result)
        seconds = time.perf_counter() - began
        self._rate.measured(tokens * max(1, running), seconds)
        self._metrics.batch(len(batch), tokens, seconds)
        for work, result in zip(batch, results, strict=True):
            if isinstance(result, Answer) and loaded is self._judging:
                self._cache.keep(work.digest, work.rest, result)


def _future() -> "asyncio.Future[Answer | Problem]":
    return asyncio.get_running_loop().create_future()


def _judged(loaded: Loaded, batch: list[Work]) -> list[Answer | Problem]:
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


def _answers(loaded: Loaded, works: list[Work]) -> list[Answer]:
    explain = bool(works) and works[0].explain
    verdicts = loaded.scanner.scan_many([work.item.message for work in works], explain)
    return [answer_of(verdict, work.digest, loaded) for verdict, work in zip(verdicts, works, strict=True)]


def _alone(loaded: Loaded, work: Work) -> Answer | Problem:
    try:
        return _answers(loaded, [work])[0]
    except Exception as error:
        return _failed(error)


def _failed(error: BaseException) -> Problem:
    _log.error("a message could not be judged", extra={"error": type(error).__name__})  # its words may quote it
    return Problem("internal", "this message could not be judged; tell the operator the id of the request")
