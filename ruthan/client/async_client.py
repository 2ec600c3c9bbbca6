"""The client for coroutines."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from uuid import uuid4

import httpx

from ruthan.client.parts import Parts
from ruthan.client.protocol import Call, Flow, Lost, Operations, Reply, Upload, Wait
from ruthan.client.replies import FeedbackReceipt, ItemError, Job, Limits, ServiceModel
from ruthan.client.transport import CHUNK, Address, Dump, lost, opened, options, replacing, reply_of, request_of
from ruthan.message import Message
from ruthan.taxonomy import Taxonomy
from ruthan.verdict import Verdict

T = TypeVar("T")


class AsyncClient:
    """What `Client` is, for coroutines under asyncio: parameters, results and errors are the same."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 4,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """See `Client`."""
        self._address, self._timeout = Address(url), timeout
        self._http = httpx.AsyncClient(**options(self._address, key, timeout), transport=transport)
        self._do = Operations(retries)
        self._limits: Limits | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def scan(self, message: str | Message, channel: str | None = None) -> Verdict:
        """Judge one message."""
        return await self._run(self._do.scan(message, channel, explain=False))

    async def explain(self, message: str | Message, channel: str | None = None) -> Verdict:
        """Judge one message, and say which words the model went by."""
        return await self._run(self._do.scan(message, channel, explain=True))

    async def scan_many(
        self, messages: Iterable[str | Message] | AsyncIterable[str | Message], explain: bool = False
    ) -> AsyncIterator[Verdict | ItemError]:
        """Judge messages as they come, in order, as many in a request as the service takes."""
        parts = Parts(await self.limits(), explain)
        async for message in _stream(messages):
            if part := parts.add(message):
                for result in await self._run(self._do.batch(part, parts, explain)):
                    yield result
        if part := parts.rest():
            for result in await self._run(self._do.batch(part, parts, explain)):
                yield result

    async def limits(self) -> Limits:
        """What the service may be sent; asked for once."""
        if self._limits is None:
            self._limits = (await self.model()).limits
        return self._limits

    async def feedback(
        self,
        label: str,
        *,
        kind: str | None = None,
        text: str | None = None,
        text_digest: str | None = None,
        message_id: str | None = None,
        verdict: Verdict | None = None,
        lang: str | None = None,
        channel: str | None = None,
        reviewer: str | None = None,
        comment: str | None = None,
    ) -> FeedbackReceipt:
        """Say what a verdict should have been."""
        return await self._run(
            self._do.feedback(
                verdict,
                label=label,
                kind=kind,
                text=text,
                text_digest=text_digest,
                message_id=message_id,
                lang=lang,
                channel=channel,
                reviewer=reviewer,
                comment=comment,
            )
        )

    async def model(self) -> ServiceModel:
        """What answers, and what it may be sent."""
        return await self._run(self._do.model())

    async def taxonomy(self) -> Taxonomy:
        """The classes that a verdict may name."""
        return await self._run(self._do.taxonomy())

    async def submit(
        self,
        dump: Dump,
        *,
        name: str | None = None,
        format: str | None = None,
        column: str | None = None,
        mask: bool = False,
        with_text: bool = False,
        idempotency_key: str | None = None,
    ) -> Job:
        """Send a dump, in any format that `ruthan scan` reads, to be scanned there."""
        with opened(dump) as (upload, called):
            flow = self._do.submit(
                upload,
                idempotency_key or uuid4().hex,
                name=name or called,
                format=format,
                column=column,
                mask=mask,
                with_text=with_text,
            )
            return await self._run(flow)

    async def job(self, job: Job | str) -> Job:
        """How far a job is."""
        return await self._run(self._do.job(job))

    async def jobs(self, limit: int = 50) -> list[Job]:
        """The jobs of this key, newest first."""
        return await self._run(self._do.jobs(limit))

    async def wait(self, job: Job | str, timeout: float | None = None) -> Job:
        """Wait until a job is done."""
        return await self._run(self._do.wait(job, timeout))

    async def results(self, job: Job | str, path: str | PathLike[str], format: str = "jsonl") -> Path:
        """Fetch what a job found into a file, which is there only when it is whole."""
        with replacing(Path(path)) as file:
            await self._run(self._do.results(job, format, file))
        return Path(path)

    async def delete(self, job: Job | str) -> None:
        """Stop a job if it is under way, and erase its dump and its results."""
        await self._run(self._do.delete(job))

    async def _run(self, flow: Flow[T]) -> T:
        outcome: Reply | Lost | None = None
        try:
            while True:
                step = flow.send(outcome)
                outcome = None
                if isinstance(step, Wait):
                    await asyncio.sleep(step.seconds)
                else:
                    outcome = await self._called(step)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _called(self, call: Call) -> Reply | Lost:
        content = call.body if call.upload is None else _chunks(call.upload)
        try:
            async with self._http.stream(**request_of(call, content)) as response:
                if call.into is None or not response.is_success:
                    return reply_of(response, await response.aread())
                call.into.seek(0)
                call.into.truncate()
                async for chunk in response.aiter_bytes(CHUNK):
                    await asyncio.to_thread(call.into.write, chunk)
                return reply_of(response, b"")
        except httpx.RequestError as error:
            return lost(error, self._timeout)


async def _stream(messages: Iterable[str | Message] | AsyncIterable[str | Message]) -> AsyncIterator[str | Message]:
    if isinstance(messages, AsyncIterable):
        async for message in messages:
            yield message
    else:
        for message in messages:
            yield message


async def _chunks(upload: Upload) -> AsyncIterator[bytes]:
    if upload.start is not None:
        upload.file.seek(upload.start)
    while chunk := await asyncio.to_thread(upload.file.read, CHUNK):
        yield chunk
