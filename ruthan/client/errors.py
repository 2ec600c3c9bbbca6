"""What can go wrong with a call of the service. No error quotes a message or a key.

RuthanError
└── ClientError             a call that did not succeed, or could not be made
    ├── UnreachableError    no reply arrived: no connection, or none in time
    ├── ReplyError          what answered is no ruthan service, or one of another version
    ├── JobError            a job failed, or is not done in time
    └── ProblemError        the service said no, and why
        ├── AccessError     the key is missing, unknown or has not the scope (401, 403)
        ├── BusyError       too many requests (429): try again after `retry_after` seconds
        └── ServiceError    the service cannot, for now (5xx)
"""

from ruthan.client.replies import Job
from ruthan.errors import RuthanError


class ClientError(RuthanError):
    """A call did not succeed, or could not be made."""


class UnreachableError(ClientError):
    """No reply arrived: there was no connection, it broke, or nothing came in time."""


class ReplyError(ClientError):
    """What answered is no ruthan service, or one of another version."""


class JobError(ClientError):
    """A job failed, or is not done in time.

    :param job: the job as it was last seen; None if it never was.
    """

    def __init__(self, told: str, job: Job | None) -> None:
        super().__init__(told)
        self.job = job


class ProblemError(ClientError):
    """The service said no.

    :param status: of the reply.
    :param kind: what kind of problem, as docs/serving.md lists them; empty where something between said no.
    :param detail: what is wrong, and what to send or do instead.
    :param request_id: under which the operator finds the request in the log.
    :param retry_after: seconds after which to try again, if the service said so.
    """

    def __init__(
        self, status: int, kind: str, detail: str, request_id: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{detail} ({kind or 'HTTP'} {status}{f', request {request_id}' if request_id else ''})")
        self.status, self.kind, self.detail = status, kind, detail
        self.request_id, self.retry_after = request_id, retry_after


class AccessError(ProblemError):
    """The key is missing, unknown, expired, or has not the scope; or the service has this switched off."""


class BusyError(ProblemError):
    """The service is busy, or more was sent than this key or address may send."""


class ServiceError(ProblemError):
    """The service failed, or cannot answer for now."""
