"""What answers: the model, the policy, the classes; and, for administrators, their exchange."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool

from ruthan.taxonomy import default_taxonomy
from serve import problems
from serve.access import Caller, KeyFirst, needs
from serve.routes.scan import most_at_once
from serve.schemas import Exchange, Exchanged, ModelResponse, TaxonomyResponse
from serve.service import ServiceDep

router = APIRouter(tags=["model"], route_class=KeyFirst)

AnyCaller = Annotated[Caller, needs("scan")]
AdminCaller = Annotated[Caller, needs("admin")]


@router.get("/v1/model", response_model=ModelResponse, responses=problems.responses(*problems.ANY))
async def model(service: ServiceDep, caller: AnyCaller) -> dict[str, Any]:
    """Which model and policy answer, with the figures measured when the model was made, and what they may be sent."""
    loaded, settings = service.models.current, service.settings
    info = loaded.scanner.classifier.info
    return {
        "name": info.name,
        "model_version": loaded.model_version,
        "labels": list(info.labels),
        "policy": loaded.scanner.policy.name,
        "policy_version": loaded.policy_version,
        "window_tokens": info.window_tokens,
        "licence": info.licence,
        "attribution": info.attribution,
        "metrics": info.metrics,
        "limits": {
            "max_text_length": settings.max_text_length,
            "max_batch": settings.max_batch,
            "max_batch_explained": most_at_once(settings, explain=True),
            "max_batch_characters": settings.max_batch_characters,
            "max_body_bytes": settings.max_body_bytes,
            "max_upload_bytes": settings.max_upload_bytes,
            "deadline_seconds": settings.deadline_seconds,
        },
    }


@router.get("/v1/taxonomy", response_model=TaxonomyResponse, responses=problems.responses(*problems.ANY))
async def taxonomy(caller: AnyCaller) -> dict[str, Any]:
    """The classes that a verdict may name, in Thai and English, in order of precedence."""
    return asdict(default_taxonomy())


@router.post(
    "/v1/admin/model", response_model=Exchanged, responses=problems.responses(*problems.ANY, "not-found", "conflict")
)
async def exchange(body: Exchange, service: ServiceDep, caller: AdminCaller) -> dict[str, str]:
    """Go over to another bundle or policy of the service's own folders.

    It is loaded beside the present one and tried on messages whose answers are known; if it fails, nothing changes.
    """
    loaded = await run_in_threadpool(service.models.swap, body.model, body.policy, caller.owner)
    return {"model_version": loaded.model_version, "policy_version": loaded.policy_version}
