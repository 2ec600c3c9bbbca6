"""Whole dumps: uploaded, scanned beside the requests, and fetched when they are done."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal, cast
from uuid import uuid4

from fastapi import APIRouter, Header, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, JSONResponse, Response

from ruthan.dumps.detect import FORMATS
from serve import problems
from serve.access import Caller, KeyFirst, needs
from serve.jobs.files import safe_name
from serve.jobs.results import FORMS
from serve.problems import Problem
from serve.service import Service, ServiceDep
from serve.settings import Settings
from serve.storage import jobs
from serve.storage.tables import Job

router = APIRouter(tags=["jobs"], route_class=KeyFirst)

RETRY_SECONDS = 2.0

JobsCaller = Annotated[Caller, needs("jobs")]
JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", description="as the reply to the upload names it")]
State = Literal["queued", "running", "done", "failed"]
_PROBLEMS = (*problems.ANY, "storage-unavailable")
_EXAMPLE: Any = {
    "id": "5f0c2c1e7a8b4f0e9d3a6b1c2d4e8f70",
    "name": "แชทกลุ่มหางาน.txt",
    "state": "done",
    "error": None,
    "bytes": 184_320,
    "bytes_read": 184_320,
    "progress": {
        "messages": 912,
        "notices": 40,
        "unreadable": 1,
        "actions": {"allow": 880, "review": 12, "block": 20},
        "labels": {"benign": 885, "task_job": 18, "trafficking": 9},
        "files": ["แชทกลุ่มหางาน.txt: LINE chat export, by what is in it; valid UTF-8"],
    },
    "created_at": "2026-11-27T09:30:00Z",
    "started_at": "2026-11-27T09:30:01Z",
    "finished_at": "2026-11-27T09:30:09Z",
    "results": "/v1/jobs/5f0c2c1e7a8b4f0e9d3a6b1c2d4e8f70/results",
}


class JobProgress(BaseModel):
    """What has been read so far."""

    messages: int = 0
    notices: int = Field(0, description="entries without words of a sender, such as stickers; known at the end")
    unreadable: int = Field(0, description="entries that could not be read; the form not-read lists them")
    actions: dict[str, int] = Field(default_factory=dict)
    labels: dict[str, int] = Field(default_factory=dict)
    files: list[str] = Field(default_factory=list, description="what is in the dump, and how it was read")


class JobView(BaseModel):
    """A dump, and how far it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    name: str = Field(description="of the file; the results call it so, too")
    state: State
    error: str | None = Field(description="why it failed, or why it is tried again")
    bytes: int
    bytes_read: int = Field(description="of the dump as it was sent; packed ones are read as they are")
    progress: JobProgress
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    results: str | None = Field(description="where the results are, once it is done")


class JobList(BaseModel):
    """Jobs, newest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"jobs": [_EXAMPLE]}]})

    jobs: list[JobView]


_LOCATION = {"Location": {"description": "the path of the job", "schema": {"type": "string"}}}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "the dump itself, in any format that `ruthan scan` reads, packed or not",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary", "minLength": 1}}},
    }
}


@router.post(
    "/v1/jobs",
    response_model=JobView,
    status_code=202,
    openapi_extra=_BODY,
    responses={
        200: {
            "model": JobView,
            "description": "The job of an earlier call with the same Idempotency-Key",
            "headers": _LOCATION,
        },
        202: {"description": "The dump is kept, and is scanned when its turn comes", "headers": _LOCATION},
        **problems.responses(*_PROBLEMS, "not-allowed", "conflict", "storage-full"),
    },
)
async def create(
    request: Request,
    service: ServiceDep,
    caller: JobsCaller,
    name: Annotated[
        str,
        Query(
            max_length=200,
            description="of the file; its ending helps to tell the format",
            examples=["แชทกลุ่มหางาน.txt", "ข้อความ SMS.xml", "กล่องข้อความ.csv"],
        ),
    ] = "dump",
    form: Annotated[
        str | None,
        Query(
            alias="format",
            description="where it is not to be found by the content",
            json_schema_extra={"enum": [*FORMATS]},
        ),
    ] = None,
    column: Annotated[
        str | None,
        Query(max_length=200, description="name of the text column or field, or its number", examples=["ข้อความ"]),
    ] = None,
    mask: Annotated[bool, Query(description="hide numbers, ids, accounts and names in the results")] = False,
    with_text: Annotated[bool, Query(description="put the texts into the results; only where texts are kept")] = False,
    key: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=100,
            description="makes it safe to send the same again, as after a reply that did not arrive",
        ),
    ] = None,
) -> Response:
    """Upload a dump, as the body of the request. It is scanned beside other work, and then erased."""
    settings = service.settings
    if with_text and not settings.store_text:
        raise Problem("not-allowed", "this service keeps no texts; leave with_text out, and join results by message.id")
    if form is not None and form not in FORMATS:
        raise Problem("bad-request", f"there is no such format; there are {', '.join(FORMATS)}")
    told = _told_size(request)
    if told is not None and told > settings.max_upload_bytes:  # refused before it is sent
        raise Problem("too-large", f"the dump is too large; send at most {settings.max_upload_bytes:,} bytes")
    name = safe_name(name)
    options = {"format": form, "column": column, "mask": mask, "with_text": with_text}
    if key is not None and (earlier := await service.database.run(lambda s: jobs.find_again(s, caller.owner, key))):
        return _again(earlier, name, options, told)
    if await service.database.run(lambda s: jobs.unfinished(s, caller.owner)) >= settings.jobs_per_key:
        raise _too_many(settings)  # before it is sent, and once more when it is kept
    files, number = service.runner.files, uuid4().hex
    size = await files.receive(number, name, request.stream())
    if not size:
        files.erase(number)
        raise Problem("bad-request", "the body is empty; send the dump itself as the body")
    job = Job(
        id=number,
        owner=caller.owner,
        idempotency_key=key,
        name=name,
        options=options,
        state="queued",
        size=size,
        bytes_read=0,
        progress={},
        attempts=0,
        created_at=datetime.now(UTC).timestamp(),
    )
    try:
        if not await service.database.run(lambda session: jobs.add(session, job, settings.jobs_per_key)):
            raise _too_many(settings)
    except IntegrityError:  # the same was sent twice at the same time
        files.erase(number)
        assert key is not None
        earlier = await service.database.run(lambda s: jobs.find_again(s, caller.owner, key))
        if earlier is None:
            raise Problem("conflict", "the earlier job of this Idempotency-Key was deleted; send it again") from None
        return _again(earlier, name, options, size)
    except BaseException:
        files.erase(number)
        raise
    service.metrics.job("queued")
    service.runner.wake()
    return _reply(job, 202)


def _too_many(settings: Settings) -> Problem:
    return Problem(
        "rate-limited",
        f"at most {settings.jobs_per_key} jobs that are not done; wait for one, or delete one",
        retry_after=RETRY_SECONDS * 5,
    )


@router.get("/v1/jobs", response_model=JobList, responses=problems.responses(*_PROBLEMS))
async def list_all(
    service: ServiceDep, caller: JobsCaller, limit: Annotated[int, Query(ge=1, le=1_000)] = 50
) -> dict[str, Any]:
    """The caller's jobs, newest first; those of all callers with a key that may administer."""
    found = await service.database.run(lambda session: jobs.listed(session, _owner(caller), limit))
    return {"jobs": [_view(job) for job in found]}


@router.get("/v1/jobs/{id}", response_model=JobView, responses=problems.responses(*_PROBLEMS, "not-found"))
async def show(id: JobId, service: ServiceDep, caller: JobsCaller) -> Response:
    """How far a job is."""
    return _reply(await _found(service, id, caller), 200)


@router.get(
    "/v1/jobs/{id}/results",
    response_class=Response,
    responses={
        200: {
            "description": "The file",
            "content": {
                each.media_type.split(";")[0]: {
                    "schema": {"type": "string", "format": "binary"} if each.binary else {"type": "string"}
                }
                for each in FORMS.values()
            },
        },
        **problems.responses(*_PROBLEMS, "not-found", "conflict", "not-allowed", "storage-full"),
    },
)
async def results(
    id: JobId,
    service: ServiceDep,
    caller: JobsCaller,
    form: Annotated[
        Literal[tuple(FORMS)],  # type: ignore[valid-type]
        Query(
            alias="format",
            description="verdicts in a form; or the report, campaigns, lists of indicators, what was not read",
        ),
    ] = "jsonl",
) -> Response:
    """What a job found, once it is done."""
    job = await _found(service, id, caller)
    if job.state != "done":
        waiting = job.state in jobs.OPEN
        raise Problem(
            "conflict",
            f"the job is {job.state}; "
            + ("ask again when it is done" if waiting else "see its error, and send it anew"),
            retry_after=RETRY_SECONDS if waiting else None,
            extra={"state": job.state},
        )
    with_text = bool(job.options.get("with_text"))
    path = await service.runner.conversions.file(service.runner.files.results(id), form, with_text)
    stem = job.name.rpartition(".")[0] or job.name
    return FileResponse(path, media_type=FORMS[form].media_type, filename=f"{stem}-{FORMS[form].file}")


@router.delete(
    "/v1/jobs/{id}", status_code=204, response_class=Response, responses=problems.responses(*_PROBLEMS, "not-found")
)
async def delete(id: JobId, service: ServiceDep, caller: JobsCaller) -> Response:
    """Stop a job if it is under way, and erase its dump and its results."""

    def take_back(session: Session) -> bool:
        job = jobs.find(session, id, _owner(caller))
        if job is None:
            raise Problem("not-found", "there is no such job; GET /v1/jobs lists yours")
        return jobs.take_back(session, id)

    if await service.database.run(take_back):
        await run_in_threadpool(service.runner.files.erase, id)
    service.metrics.job("deleted")
    return Response(status_code=204)


async def _found(service: Service, number: str, caller: Caller) -> Job:
    job = await service.database.run(lambda session: jobs.find(session, number, _owner(caller)))
    if job is None:
        raise Problem("not-found", "there is no such job; GET /v1/jobs lists yours")
    return job


def _owner(caller: Caller) -> str | None:
    return None if "admin" in caller.scopes else caller.owner


def _told_size(request: Request) -> int | None:
    """How many bytes the caller says that the body has."""
    told = request.headers.get("content-length", "")
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 20 else None


def _again(earlier: Job, name: str, options: dict[str, Any], size: int | None) -> Response:
    """The reply to an upload whose Idempotency-Key was sent before.

    :raises Problem: with another upload.
    """
    if (earlier.name, earlier.options) != (name, options) or size not in (None, earlier.size):
        raise Problem("conflict", "this Idempotency-Key came with another upload; use a new one for each")
    return _reply(earlier, 200)


def _reply(job: Job, status: int) -> Response:
    return JSONResponse(_view(job).model_dump(mode="json"), status, {"Location": f"/v1/jobs/{job.id}"})


def _view(job: Job) -> JobView:
    return JobView(
        id=job.id,
        name=job.name,
        state=cast(State, job.state),
        error=job.error,
        bytes=job.size,
        bytes_read=job.size if job.state == "done" else min(job.bytes_read, job.size),
        progress=JobProgress(**job.progress),
        created_at=_moment(job.created_at),
        started_at=_moment(job.started_at),
        finished_at=_moment(job.finished_at),
        results=f"/v1/jobs/{job.id}/results" if job.state == "done" else None,
    )


def _moment(seconds: float | None) -> Any:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
