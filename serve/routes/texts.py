"""Erase what is kept of a message."""

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from serve import problems
from serve.access import Caller, KeyFirst, needs
from serve.service import ServiceDep

router = APIRouter(tags=["texts"], route_class=KeyFirst)


class Erased(BaseModel):
    """What was erased."""

    texts: int = Field(ge=0, description="kept texts; 0 if there was none")


@router.delete(
    "/v1/texts/{digest}",
    response_model=Erased,
    responses=problems.responses(*problems.ANY, "storage-unavailable"),
)
async def erase(
    digest: Annotated[
        str, Path(pattern="^([0-9a-f]{16}|[0-9a-f]{64})$", description="SHA-256 of the text, or the id of the message")
    ],
    service: ServiceDep,
    caller: Annotated[Caller, needs("admin")],
) -> Erased:
    """Erase a message wherever it is kept: its text, and the text and comments of feedback on it.

    What this worker remembers of it is dropped at once; what others remember, within `cache_seconds`.
    """
    service.engine.forget(digest)
    return Erased(texts=await run_in_threadpool(service.texts.erase, digest))
