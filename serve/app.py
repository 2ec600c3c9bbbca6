"""The application: the parts of the service, put together, started and stopped."""

import asyncio
import logging
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Route
from uvicorn.config import STARTUP_FAILURE

from ruthan import __version__
from ruthan.errors import RuthanError
from serve import line, memory, problems
from serve.access import Access
from serve.engine.batching import Engine
from serve.engine.models import Models
from serve.jobs.runner import Runner
from serve.middleware import EXPOSED, BodyLimit, Envelope
from serve.problems import Problem
from serve.routes import feedback, health, jobs, model, scan, texts
from serve.service import Service
from serve.settings import Settings, read_settings
from serve.signals import handled, hang_up_means_nothing
from serve.storage import migrate
from serve.storage.database import Database
from serve.storage.texts import TextStore
from serve.telemetry import logs, tracing
from serve.telemetry.metrics import Metrics

LOOK_SECONDS = 5.0  # between two looks at what other workers did, and at the database
SWEEP_SECONDS = 3_600.0  # between two erasures of what is past its days

_ROUTERS = (scan.router, model.router, feedback.router, texts.router, jobs.router, health.router)

DESCRIPTION = """รู้ทัน: says which messages are scams or trafficking recruitment, of what kind, how sure it is, and why.

ตรวจว่าข้อความใดเข้าข่ายหลอกลวงหรือชวนไปทำงานที่เสี่ยงตกเป็นเหยื่อการค้ามนุษย์ ผลที่ได้ใช้ช่วยคัดกรอง ไม่ใช่ข้อสรุปว่าผู้ใดทำผิด
"""

_log = logging.getLogger("serve")


def application() -> FastAPI:
    """The application as the environment describes it, for each of several workers; the process ends, with one line on
    standard error, where it cannot be started so.
    """
    hang_up_means_nothing()
    try:
        settings = read_settings()
        logs.configure(settings.log_level)
        return create_app(settings, open_service(settings))
    except RuthanError as error:
        print(f"ruthan-serve: {error}", file=sys.stderr)  # noqa: T201  # there is no log yet
        raise SystemExit(STARTUP_FAILURE) from None


def open_service(settings: Settings) -> Service:
    """The parts of the service, loaded and not yet started.

    :raises RuthanError: a setting, the model, the policy or the database cannot be used.
    """
    memory.keep_large_pieces_apart()
    metrics = Metrics()
    database = Database(settings.database)
    if settings.migrate:
        migrate.upgrade(database)
    else:
        migrate.check(database)
    models = Models(settings, database, metrics)
    return Service(
        settings=settings,
        metrics=metrics,
        database=database,
        models=models,
        engine=Engine(models, settings, metrics),
        access=Access(settings, database),
        texts=TextStore(settings, database, metrics),
        runner=Runner(settings, database, metrics, models),
    )


def create_app(settings: Settings, service: Service) -> FastAPI:
    """The application around the parts of a service, which it starts and stops."""
    app = FastAPI(
        title="ruthan",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # the framework's pages load scripts from elsewhere; the document itself is at /openapi.json
        redoc_url=None,
        redirect_slashes=False,  # it would send callers on to whatever host they named
        lifespan=_lifespan,
    )
    app.state.service = service
    for router in _ROUTERS:
        app.include_router(router)
    health.add_metrics(app, settings)
    if settings.line_channel_secret is not None:
        app.include_router(line.router(settings))
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]

    app.add_exception_handler(HTTPException, _failed)
    app.add_exception_handler(RequestValidationError, _invalid)

    # The last one added is the outermost.
    app.add_middleware(
        BodyLimit,
        max_bytes=settings.max_body_bytes,
        exceptions={"/v1/jobs": settings.max_upload_bytes},
        seconds=settings.body_seconds,
    )
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "Idempotency-Key", "X-Deadline-Seconds", "X-Request-Id"],
            expose_headers=EXPOSED,
        )
    app.add_middleware(Envelope, service=lambda: service)
    tracing.configure(app)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[dict[str, Service]]:
    service: Service = app.state.service
    await service.engine.start()
    service.texts.start()
    service.runner.start()
    keeping = asyncio.create_task(_keep_house(service))
    memory.leave_alone()
    try:
        with handled(service):
            yield {"service": service}  # for the server's connections
    finally:
        service.draining = True
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await service.engine.stop()
        await run_in_threadpool(service.runner.stop)
        await run_in_threadpool(service.texts.stop)
        service.database.close()


async def _keep_house(service: Service) -> None:
    """What is done now and then, as long as the service runs."""
    due = 0.0
    while True:
        try:
            service.database_reachable = await run_in_threadpool(service.database.reachable)
            if service.database_reachable:
                await run_in_threadpool(service.models.follow)
                if time.monotonic() >= due:
                    await run_in_threadpool(_sweep, service)
                    due = time.monotonic() + SWEEP_SECONDS
        except Exception as error:  # whatever it was, the next round may do better
            _log.error("housekeeping failed", extra={"error": getattr(error, "kind", type(error).__name__)})
        await asyncio.sleep(LOOK_SECONDS)


def _sweep(service: Service) -> None:
    service.texts.sweep()
    service.runner.sweep()


async def _failed(request: Request, error: Exception) -> Response:
    problem = error if isinstance(error, Problem) else None
    if problem is None:
        assert isinstance(error, HTTPException)
        # 400 is the framework's answer to a body that is not even text.
        told = (
            _HELP.get(request.url.path, str(error.detail)) if error.status_code == 400 else _TOLD.get(error.status_code)
        )
        problem = problems.of_status(error.status_code, told or str(error.detail))
    request.app.state.service.metrics.rejected(problem.kind)
    answer = problems.reply(problem, request.state.request_id)
    if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
        answer.headers["Allow"] = ", ".join(sorted(_methods(request)))
    return answer


def _methods(request: Request) -> set[str]:
    """What the path of a request takes; the framework names those of its first route only."""
    routes = [route for router in (*_ROUTERS, request.app) for route in router.routes if isinstance(route, Route)]
    same = (route for route in routes if route.matches(request.scope)[0] is not Match.NONE)
    return {method for route in same for method in route.methods or ()}


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return await _failed(request, Problem("bad-request", _fault(error, request.url.path)))


_TOLD = {
    404: "there is nothing at this path; /openapi.json lists what there is",
    405: "this path does not take this method; the header Allow names those that it takes",
}
_HELP = {
    "/v1/scan": scan.SCAN_HELP,
    "/v1/explain": scan.SCAN_HELP,
    "/v1/scan/batch": 'send a JSON object with a list, as in {"messages": [{"text": "สวัสดี"}]}',
}


def _fault(error: RequestValidationError, path: str) -> str:
    """Which field is wrong, and how; never what stands in it."""
    first = error.errors()[0]
    place, *fields = map(str, first["loc"])
    if place == "query" and fields == ["explain"]:
        return "send explain=true or explain=false, or leave it out"
    if place == "body" and path in _HELP:
        return _HELP[path]
    if place == "body" and (not fields or first["type"] == "json_invalid"):
        return "send a JSON object in UTF-8, as /openapi.json shows it"
    where = ".".join(fields) or place
    kind = "field" if place == "body" else place
    return f"the {kind} {where}: {first['msg'][:1].lower()}{first['msg'][1:]}; /openapi.json shows what to send"


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes, tags=_TAGS
        )
        document["components"]["schemas"]["Problem"] = problems.SCHEMA
        _fit(document, app.state.service.settings)
        app.openapi_schema = document
    return app.openapi_schema


def _fit(document: dict[str, Any], settings: Settings) -> None:
    """Say what the settings allow, and that a parameter which is left out is no null."""
    for operation in (each for methods in document["paths"].values() for each in methods.values()):
        for parameter in operation.get("parameters", ()):
            kinds = [each for each in parameter["schema"].pop("anyOf", ()) if each != {"type": "null"}]
            for kind in kinds:
                parameter["schema"] |= kind
    schemas = document["components"]["schemas"]
    schemas["ScanRequest"]["properties"]["text"]["maxLength"] = settings.max_text_length
    schemas["FeedbackRequest"]["properties"]["text"]["maxLength"] = settings.max_text_length
    schemas["BatchRequest"]["properties"]["messages"]["maxItems"] = settings.max_batch


_TAGS = [
    {"name": "scan", "description": "ตรวจข้อความ: one message, a list, or one explained word by word"},
    {"name": "feedback", "description": "บอกว่าผลใดผิด: kept in quarantine until an operator exports it"},
    {"name": "jobs", "description": "ตรวจทั้งไฟล์: upload a dump, follow its progress, fetch the results"},
    {"name": "model", "description": "what answers, and its classes"},
    {"name": "operations", "description": "for orchestrators and monitors"},
]
