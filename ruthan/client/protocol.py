"""What is said to the service, and what its answers mean; without any input or output.

Every operation is a flow, a generator: it yields a `Call` to be made or a `Wait` to be kept, is sent what came of it,
and returns its result. The clients differ only in how they make calls and wait.
"""

import json
import math
import random
import re
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import responses
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

from ruthan.client import replies
from ruthan.client.errors import (
    AccessError,
    BusyError,
    ClientError,
    JobError,
    ProblemError,
    ReplyError,
    ServiceError,
    UnreachableError,
)
from ruthan.client.parts import Part, Parts, encoded, fields_of
from ruthan.client.replies import FeedbackReceipt, ItemError, Job, ServiceModel
from ruthan.errors import DataError
from ruthan.message import Message
from ruthan.taxonomy import Taxonomy
from ruthan.verdict import Verdict

T = TypeVar("T")

LONGEST_WAIT = 60.0  # seconds that a call waits to be made again; told to wait longer, it fails at once
PAUSES = (0.25, 20.0)  # seconds before the first retry, which doubles each time; and at most
LOOKS = (0.25, 10.0)  # seconds between two looks at a job, at first and at most
AGAIN = {429, 502, 503, 504}  # statuses after which the same call may succeed
LATE = 2  # messages in a row, each sent alone, without a verdict in time: it is the service that is slow, not they

_PROBLEM = "urn:ruthan:problem:"
_LATE = "deadline"  # the kind of problem where there was no verdict in time
_KEY = re.compile(r"rtk_[\w-]+")
_TOLD = 300  # characters of what a service says, at most


@dataclass(frozen=True)
class Upload:
    """A dump to send: `start` is where in the file it begins, None if it can be read only once."""

    file: BinaryIO
    start: int | None
    size: int | None


@dataclass(frozen=True)
class Call:
    """A request to make.

    :param into: where the body of a good reply goes; each attempt begins it anew.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    upload: Upload | None = None
    into: BinaryIO | None = None

    @property
    def repeatable(self) -> bool:
        """Whether it can be sent again. All that is sent here does no harm when it arrives twice."""
        return self.upload is None or self.upload.start is not None


@dataclass(frozen=True)
class Wait:
    """Seconds to wait."""

    seconds: float


@dataclass(frozen=True)
class Reply:
    """What was answered; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Lost:
    """No reply arrived: why."""

    told: str


Flow = Generator[Call | Wait, Reply | Lost | None, T]


class Operations:
    """All operations, as flows."""

    def __init__(self, retries: int) -> None:
        """:param retries: how often a call that failed is made again."""
        self._retries = retries

    def scan(self, message: str | Message, channel: str | None, explain: bool) -> Flow[Verdict]:
        """Judge one message."""
        path = "/v1/explain" if explain else "/v1/scan"
        return self._asked(_post(path, fields_of(message, channel)), Verdict.from_dict)

    def batch(self, part: Part, parts: Parts, explain: bool) -> Flow[list[Verdict | ItemError]]:
        """Judge the messages of a part; one result each, in order.

        What turns out to be too much for one request is sent in halves, and so are later parts of `parts`.
        """
        sent = [entry for entry in part if isinstance(entry, bytes)]
        answers = iter((yield from self._judged(sent, parts, explain)))
        return [entry if isinstance(entry, ItemError) else next(answers) for entry in part]

    def model(self) -> Flow[ServiceModel]:
        """What answers, and what it may be sent."""
        return self._asked(Call("GET", "/v1/model"), replies.service_model)

    def taxonomy(self) -> Flow[Taxonomy]:
        """The classes."""
        return self._asked(Call("GET", "/v1/taxonomy"), replies.taxonomy)

    def feedback(self, verdict: Verdict | None, **given: str | None) -> Flow[FeedbackReceipt]:
        """Say what a verdict should have been."""
        content: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if verdict is not None:
            content["verdict"] = {
                name: getattr(verdict, name) for name in ("risk", "label", "action", "model", "policy")
            }
        return self._asked(_post("/v1/feedback", content), replies.receipt)

    def submit(self, upload: Upload, key: str, **options: str | bool | None) -> Flow[Job]:
        """Send a dump. `key` names this upload, so that sending it again makes no second job."""
        query = {name: _word(value) for name, value in options.items() if value is not None}
        # A header takes no Thai, and a file's name makes a good key.
        headers = {"Idempotency-Key": quote(_sendable(key), safe="/:@ "), "Content-Type": "application/octet-stream"}
        if upload.size is not None:
            headers["Content-Length"] = str(upload.size)
        return self._asked(Call("POST", "/v1/jobs", query, headers, upload=upload), replies.job)

    def job(self, job: Job | str) -> Flow[Job]:
        """How far a job is."""
        return self._asked(Call("GET", _path(job)), replies.job)

    def jobs(self, limit: int) -> Flow[list[Job]]:
        """The caller's jobs, newest first."""
        return self._asked(Call("GET", "/v1/jobs", {"limit": str(limit)}), _jobs)

    def wait(self, job: Job | str, timeout: float | None) -> Flow[Job]:
        """Look at a job until it is done.

        :raises JobError: it failed, or is not done after `timeout` seconds.
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        last = job if isinstance(job, Job) else None
        pause, longest = LOOKS
        while True:
            try:
                last = seen = yield from self._asked(Call("GET", _path(job)), replies.job, end)
            except (BusyError, ServiceError, UnreachableError) as error:
                if time.monotonic() < end:
                    raise
                raise JobError(f"the job cannot be looked at after {timeout:g} seconds: {error}", last) from error
            if seen.state == "done":
                return seen
            if seen.state not in ("queued", "running"):
                raise JobError(f"the job {seen.id} {seen.state}: {seen.error or 'the service does not say why'}", seen)
            left = end - time.monotonic()
            if left <= 0:
                raise JobError(
                    f"the job {seen.id} is {seen.state} after {timeout:g} seconds, with {seen.bytes_read:,} of "
                    f"{seen.bytes:,} bytes read; wait on",
                    seen,
                )
            yield Wait(min(pause, left))
            pause = min(pause * 1.5, longest)

    def results(self, job: Job | str, form: str, into: BinaryIO) -> Flow[None]:
        """Fetch what a job found into a file."""
        yield from self._answered(Call("GET", f"{_path(job)}/results", {"format": _word(form)}, into=into))

    def delete(self, job: Job | str) -> Flow[None]:
        """Stop a job if it is under way, and erase it."""
        yield from self._answered(Call("DELETE", _path(job)))

    def _judged(self, sent: list[bytes], parts: Parts, explain: bool) -> Flow[list[Verdict | ItemError]]:
        if not sent:
            return []
        query = {"explain": "true"} if explain else {}
        body = b'{"messages":[' + b",".join(sent) + b"]}"
        call = Call("POST", "/v1/scan/batch", query, _JSON, body)
        try:
            reply = yield from self._answered(call, splits=len(sent) > 1)
        except ProblemError as problem:
            if not _too_much(problem):
                raise
            late = problem.kind == _LATE
            if len(sent) == 1:
                parts.late += late
                if parts.late >= LATE:
                    raise
                return [ItemError(problem.detail)]
            middle = (len(sent) + 1) // 2
            if late:
                # What slowed the service down may be all that it has to do: halves at once would only add to it.
                wait = _pause(0, problem)
                if wait is None:
                    raise
                yield Wait(wait)
            elif _too_large(problem):
                # By bytes, as it was refused: by number, two long texts would leave all short ones to go one by one.
                # What passes is less than the body, so this stays above half of what passes.
                parts.most_bytes = min(parts.most_bytes, len(body) // 2)
            else:  # that was for want of time; the others hold for good
                parts.most = min(parts.most, middle)
            first = yield from self._judged(sent[:middle], parts, explain)
            return first + (yield from self._judged(sent[middle:], parts, explain))
        parts.late = 0
        results = _read(reply, _results)
        if len(results) != len(sent):
            raise ReplyError(f"{len(results):,} results for {len(sent):,} messages: the service is of another version")
        return results

    def _asked(self, call: Call, read: Callable[[Any], T], end: float = math.inf) -> Flow[T]:
        return _read((yield from self._answered(call, end=end)), read)

    def _answered(self, call: Call, splits: bool = False, end: float = math.inf) -> Flow[Reply]:
        """The good reply to a call, which is made again where that may help.

        :param splits: what is too much for one request is not tried again as it is.
        :param end: when it is tried for the last time, by the monotonic clock.
        :raises ClientError: there is none.
        """
        attempt = 0
        while True:
            outcome = yield call
            if isinstance(outcome, Reply) and (200 <= outcome.status < 300 or (attempt and _erased(call, outcome))):
                return outcome
            error = _error(outcome)
            wait = _pause(attempt, error)
            left = end - time.monotonic()
            over = attempt >= self._retries or left <= 0
            if wait is None or over or not call.repeatable or (splits and _too_much(error)):
                raise error
            attempt += 1
            yield Wait(min(wait, left))


_JSON = {"Content-Type": "application/json"}


def _post(path: str, content: Mapping[str, Any]) -> Call:
    return Call("POST", path, headers=_JSON, body=encoded(content))


def _erased(call: Call, again: Reply) -> bool:
    """Whether an earlier attempt has erased what this one no longer found; only its reply was lost."""
    return call.method == "DELETE" and again.status == HTTPStatus.NOT_FOUND


def _path(job: Job | str) -> str:
    return f"/v1/jobs/{quote(_sendable(job if isinstance(job, str) else job.id), safe='')}"


def _word(value: str | bool) -> str:
    return _sendable(value) if isinstance(value, str) else str(value).lower()


def _sendable(text: str) -> str:
    """A text for an address or a header; half an emoji, or a byte of a file's name that is no text, as an escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def _read(reply: Reply, read: Callable[[Any], T]) -> T:
    try:
        content = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise ReplyError("the reply is no JSON: what answers is no ruthan service; see the address") from None
    try:
        return read(content)
    except DataError as error:
        raise ReplyError(f"the service is of another version: {error}") from None


def _results(content: Any) -> list[Verdict | ItemError]:
    found = replies.listed(content, "results")
    return [ItemError(each["error"]) if _is_error(each) else Verdict.from_dict(each) for each in found]


def _is_error(content: Any) -> bool:
    return isinstance(content, dict) and isinstance(content.get("error"), str)


def _jobs(content: Any) -> list[Job]:
    return [replies.job(each) for each in replies.listed(content, "jobs")]


def _error(outcome: Reply | Lost | None) -> ClientError:
    """The error that a reply tells of, or that there was none."""
    if not isinstance(outcome, Reply):
        return UnreachableError(outcome.told if outcome else "there was no reply")
    status = outcome.status
    if 300 <= status < 400:
        return ReplyError(
            "the service is at another address: give the one that it is redirected to, keys are not sent on"
        )
    try:
        document = json.loads(outcome.body) if "problem+json" in outcome.headers.get("content-type", "") else {}
    except (ValueError, RecursionError):
        document = {}
    kind, detail = (document.get(name, "") if isinstance(document, dict) else "" for name in ("type", "detail"))
    return _KINDS.get(status, ServiceError if status >= 500 else ProblemError)(
        status,
        str(kind).removeprefix(_PROBLEM),
        _KEY.sub("rtk_…", " ".join(str(detail).split()))[:_TOLD] or responses.get(status, "no reason given"),
        outcome.headers.get("x-request-id"),
        _seconds(outcome.headers.get("retry-after")),
    )


_KINDS: dict[int, type[ProblemError]] = {401: AccessError, 403: AccessError, 429: BusyError}


def _seconds(retry_after: str | None) -> float | None:
    """What the header Retry-After says, a number or a date, in seconds from now."""
    if retry_after is None:
        return None
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        moment: datetime = parsedate_to_datetime(retry_after)
        return max(0.0, moment.timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def _too_much(error: ClientError) -> bool:
    """Whether a request of fewer messages may succeed, where this one did not."""
    if not isinstance(error, ProblemError):
        return False
    # A 504 that is not the service's own says nothing of the messages: a gateway has lost the service.
    return _too_large(error) or error.kind in ("batch-too-large", _LATE) or _never_fits(error)


def _too_large(error: ProblemError) -> bool:
    """Whether the request had too many bytes, for the service or for what stands before it."""
    return error.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def _never_fits(error: ProblemError) -> bool:
    """Whether one request was more than the rate allows in a minute."""
    return error.kind == "rate-limited" and error.retry_after is None


def _pause(attempt: int, error: ClientError) -> float | None:
    """Seconds before a call is made again, not the same for all who wait; None where that would not help."""
    first, most = PAUSES
    pause = random.uniform(0.5, 1.0) * min(most, first * 2.0**attempt)
    if not isinstance(error, ProblemError):
        return pause if isinstance(error, UnreachableError) else None
    if error.status not in AGAIN or _never_fits(error):
        return None
    if error.retry_after is None:
        return pause
    return error.retry_after + pause if error.retry_after <= LONGEST_WAIT else None
