"""The client for programs that wait for each answer."""

import time
from collections.abc import Iterable, Iterator
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


class Client:
    """Calls a ruthan service; safe to share between threads. Close it when done, or use it in a `with` block.

    What fails for a while, such as a connection, or a service that is busy, is tried again.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        timeout: float = 30.0,
        retries: int = 4,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """:param url: of the service, such as `http://127.0.0.1:8000`.
        :param key: an API key, where the service wants one.
        :param timeout: seconds to wait for each reply.
        :param retries: how often a call that failed is made again.
        :param transport: how to connect, where that needs more than the address: a proxy, or certificates of your own.
        :raises ClientError: the address or the key is none.
        """
        self._address, self._timeout = Address(url), timeout
        self._http = httpx.Client(**options(self._address, key, timeout), transport=transport)
        self._do = Operations(retries)
        self._limits: Limits | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def scan(self, message: str | Message, channel: str | None = None) -> Verdict:
        """Judge one message. Its channel, such as `sms`, chooses the thresholds of policies that name channels.

        :raises MessageError: it is neither a text nor a `Message`.
        :raises ClientError: there is no verdict; see `ruthan.client.errors`.
        """
        return self._run(self._do.scan(message, channel, explain=False))

    def explain(self, message: str | Message, channel: str | None = None) -> Verdict:
        """Judge one message, and say which words the model went by, at up to ten times the cost."""
        return self._run(self._do.scan(message, channel, explain=True))

    def scan_many(self, messages: Iterable[str | Message], explain: bool = False) -> Iterator[Verdict | ItemError]:
        """Judge messages as they come, in order, as many in a request as the service takes.

        A message that cannot be judged has an `ItemError` in its place.

        :raises ClientError: the service cannot be reached, says no to all of it, or is too slow for single messages.
        """
        parts = Parts(self.limits(), explain)
        for message in messages:
            if part := parts.add(message):
                yield from self._run(self._do.batch(part, parts, explain))
        if part := parts.rest():
            yield from self._run(self._do.batch(part, parts, explain))

    def limits(self) -> Limits:
        """What the service may be sent; asked for once."""
        if self._limits is None:
            self._limits = self.model().limits
        return self._limits

    def feedback(
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
        """Say what a verdict should have been. What the same reviewer says later of the same message replaces it.

        :param label: the right class of the taxonomy; `kind` that of a benign message.
        :param text: the message, or in its place `text_digest`, its SHA-256, or `message_id`, the first 16 digits.
        :param verdict: what the service had said.
        :param reviewer: who says so; a pseudonym will do.
        """
        return self._run(
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

    def model(self) -> ServiceModel:
        """What answers, and what it may be sent."""
        return self._run(self._do.model())

    def taxonomy(self) -> Taxonomy:
        """The classes that a verdict may name."""
        return self._run(self._do.taxonomy())

    def submit(
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
        """Send a dump, in any format that `ruthan scan` reads, to be scanned there.

        :param dump: path of a file, or a file opened for reading bytes.
        :param name: of the file; its ending helps to tell the format.
        :param column: of the text, in a table.
        :param mask: hide numbers, ids, accounts and names in the results.
        :param with_text: put the texts into the results, where the service keeps texts.
        :param idempotency_key: names this upload, so that giving it again makes no second job; by default a new one.
        """
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
            return self._run(flow)

    def job(self, job: Job | str) -> Job:
        """How far a job is."""
        return self._run(self._do.job(job))

    def jobs(self, limit: int = 50) -> list[Job]:
        """The jobs of this key, newest first."""
        return self._run(self._do.jobs(limit))

    def wait(self, job: Job | str, timeout: float | None = None) -> Job:
        """Wait until a job is done.

        :raises JobError: it failed, or is not done after `timeout` seconds.
        """
        return self._run(self._do.wait(job, timeout))

    def results(self, job: Job | str, path: str | PathLike[str], format: str = "jsonl") -> Path:
        """Fetch what a job found into a file, which is there only when it is whole.

        :param format: `jsonl`, `csv`, `xlsx`, `parquet`, `sqlite` or `duckdb` for the verdicts; `report`, `campaigns`,
            `indicators`, `stix` or `not-read`.
        """
        with replacing(Path(path)) as file:
            self._run(self._do.results(job, format, file))
        return Path(path)

    def delete(self, job: Job | str) -> None:
        """Stop a job if it is under way, and erase its dump and its results."""
        self._run(self._do.delete(job))

    def _run(self, flow: Flow[T]) -> T:
        outcome: Reply | Lost | None = None
        try:
            while True:
                step = flow.send(outcome)
                outcome = None
                if isinstance(step, Wait):
                    time.sleep(step.seconds)
                else:
                    outcome = self._called(step)
        except StopIteration as end:
            result: T = end.value
            return result

    def _called(self, call: Call) -> Reply | Lost:
        content = call.body if call.upload is None else _chunks(call.upload)
        try:
            with self._http.stream(**request_of(call, content)) as response:
                if call.into is None or not response.is_success:
                    return reply_of(response, response.read())
                call.into.seek(0)
                call.into.truncate()
                for chunk in response.iter_bytes():
                    call.into.write(chunk)
                return reply_of(response, b"")
        except httpx.RequestError as error:
            return lost(error, self._timeout)


def _chunks(upload: Upload) -> Iterator[bytes]:
    if upload.start is not None:
        upload.file.seek(upload.start)
    while chunk := upload.file.read(CHUNK):
        yield chunk
