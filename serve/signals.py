"""What the process does when it is told to stop, or to read its model again."""

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from starlette.concurrency import run_in_threadpool

from ruthan.errors import RuthanError
from serve.service import Service

_log = logging.getLogger(__name__)


@contextmanager
def handled(service: Service) -> Iterator[None]:
    """SIGTERM and SIGINT: say at once that requests should go elsewhere, and leave the rest to the server after
    `shutdown_delay` seconds; told again, at once. SIGHUP: read model and policy again; bad ones change nothing.

    Does nothing outside the main thread, where there are no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    servers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    reloading: set[asyncio.Task[None]] = set()

    def stop(number: int, frame: FrameType | None) -> None:
        theirs = servers[signal.Signals(number)]
        if not callable(theirs):
            return
        if service.draining or not service.settings.shutdown_delay:
            service.draining = True
            theirs(number, frame)
            return
        service.draining = True
        loop.call_soon_threadsafe(loop.call_later, service.settings.shutdown_delay, theirs, number, None)

    def reload() -> None:
        task = asyncio.create_task(_reload(service))
        reloading.add(task)
        task.add_done_callback(reloading.discard)

    for number in servers:
        signal.signal(number, stop)
    with contextlib.suppress(NotImplementedError, AttributeError):  # systems without this signal
        loop.add_signal_handler(signal.SIGHUP, reload)
    try:
        yield
    finally:
        for number, theirs in servers.items():
            signal.signal(number, theirs)
        with contextlib.suppress(NotImplementedError, AttributeError):
            loop.remove_signal_handler(signal.SIGHUP)
            hang_up_means_nothing()


def hang_up_means_nothing() -> None:
    """Let SIGHUP pass, while there is no model to read again: it would end the process."""
    with contextlib.suppress(AttributeError, ValueError):  # systems without this signal; outside the main thread
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


async def _reload(service: Service) -> None:
    try:
        await run_in_threadpool(service.models.reload)
    except RuthanError as error:
        _log.error("the model was not read again, the former one goes on: %s", error)
