"""What the routes work with: one object a process, made at the start and closed at the end."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from serve.settings import Settings

if TYPE_CHECKING:
    from serve.access import Access
    from serve.engine.batching import Engine
    from serve.engine.models import Models
    from serve.jobs.runner import Runner
    from serve.storage.database import Database
    from serve.storage.texts import TextStore
    from serve.telemetry.metrics import Metrics


@dataclass
class Service:
    """The parts of a running service.

    :param models: the model and policy that answer, and their exchange.
    :param engine: judges messages.
    :param access: who may call what, and how often.
    :param texts: keeps the texts of messages, where the operator wants that.
    :param runner: runs jobs beside the requests.
    :param draining: the service has been told to stop.
    :param database_reachable: whether the database answered when it was last asked.
    """

    settings: Settings
    metrics: "Metrics"
    database: "Database"
    models: "Models"
    engine: "Engine"
    access: "Access"
    texts: "TextStore"
    runner: "Runner"
    draining: bool = False
    database_reachable: bool = True


async def _service(request: Request) -> Service:  # not `def`: the framework would go by way of a thread each time
    service: Service = request.app.state.service
    return service


ServiceDep = Annotated[Service, Depends(_service)]
