"""What orchestrators and monitors ask."""

from fastapi import APIRouter, FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, PlainTextResponse, Response

from serve.access import needs
from serve.problems import ANY, responses
from serve.schemas import Health, Readiness
from serve.service import ServiceDep
from serve.settings import Settings

router = APIRouter(tags=["operations"])


@router.get("/healthz", response_model=Health)
async def health(service: ServiceDep) -> dict[str, str]:
    """Whether the process lives: if this fails, start it anew."""
    return {"status": "ok", "model": service.models.current.scanner.model}


@router.get(
    "/readyz", response_model=Readiness, responses={503: {"model": Readiness, "description": "send requests elsewhere"}}
)
async def readiness(service: ServiceDep) -> JSONResponse:
    """Whether requests should be sent here: not while it stops. A database that is away does not stop scanning."""
    database = "ok" if service.database_reachable else "unreachable"
    state = {"status": "stopping" if service.draining else "ready", "database": database}
    return JSONResponse(state, 503 if service.draining else 200)


async def metrics(service: ServiceDep) -> Response:
    """Figures for Prometheus."""
    body, content_type = await run_in_threadpool(service.metrics.render)
    return Response(body, media_type=content_type)


def add_metrics(app: FastAPI, settings: Settings) -> None:
    """Add the path for Prometheus, which needs a key or, where the operator says so, none."""
    app.add_api_route(
        "/metrics",
        metrics,
        tags=["operations"],
        response_class=PlainTextResponse,
        dependencies=[] if settings.metrics_open else [needs("metrics")],
        responses={} if settings.metrics_open else responses(*ANY),
    )
