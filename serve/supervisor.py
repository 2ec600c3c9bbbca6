"""Runs the server: in this process, or in several that share its socket."""

import asyncio
import contextlib
import os
import signal
import socket
import tempfile
from contextlib import ExitStack
from typing import Any

import uvicorn
from prometheus_client import multiprocess
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from serve.app import create_app
from serve.service import Service
from serve.settings import Settings, SettingsError
from serve.telemetry.metrics import FOLDER

BACKLOG = 2_048  # connections that the system holds until they are taken
START_SECONDS = 60.0  # for a worker to start
READ_SECONDS = 0.1  # at the end, to read what has arrived on connections that would else be closed as idle


def listen(settings: Settings) -> socket.socket:
    """The socket to answer on.

    :raises SettingsError: the address is none of this machine's, or something answers there already.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror or error}; "
            "give another --host or --port"
        ) from error


def run_here(settings: Settings, service: Service, listening: socket.socket) -> None:
    """Answer in this process, until it is told to stop."""
    app = create_app(settings, service)
    config = uvicorn.Config(app, **_options(settings))
    _Server(config).run([listening])


def run_workers(settings: Settings, listening: socket.socket) -> bool:
    """Answer in several processes, each of which reads the settings from the environment; until told to stop. Whether
    they could be started.
    """
    with ExitStack() as stack:
        if not os.environ.get(FOLDER):
            os.environ[FOLDER] = stack.enter_context(tempfile.TemporaryDirectory(prefix="ruthan-metrics-"))
            stack.callback(os.environ.pop, FOLDER)
        config = uvicorn.Config("serve.app:application", factory=True, workers=settings.workers, **_options(settings))
        workers = _Workers(config, [listening])
        workers.run()
        return not any(process.exitcode == uvicorn.config.STARTUP_FAILURE for process in workers.processes)


def _options(settings: Settings) -> dict[str, Any]:
    return {
        "http": "serve.connections:Connection",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "ws": "none",
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": settings.trusted_proxies or None,
        "timeout_keep_alive": 65,  # above the usual 60 of balancers: who closes first would lose requests
        "timeout_graceful_shutdown": max(1, round(settings.drain_seconds)),
        "backlog": BACKLOG,
    }


class _Server(uvicorn.Server):
    """uvicorn's, which would reset what the system holds for it when it closes: whole requests, it may be."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()

        def connection() -> asyncio.Protocol:
            kind: Any = self.config.http_protocol_class
            state = {"server_state": self.server_state, "app_state": self.lifespan.state}
            made: asyncio.Protocol = kind(config=self.config, _loop=loop, **state)
            return made

        held: list[socket.socket] = []
        for listening in sockets or []:
            listening.setblocking(False)
            with contextlib.suppress(OSError):  # there are no more
                while len(held) < BACKLOG:
                    held.append(listening.accept()[0])
        for server in self.servers:
            server.close()
        for listening in sockets or []:
            listening.close()
        for each in held:
            each.setblocking(False)
            await loop.connect_accepted_socket(connection, each)
        await asyncio.sleep(READ_SECONDS)
        await super().shutdown(sockets)


class _Process(Process):
    """uvicorn's, but for the server in it."""

    @property
    def server(self) -> uvicorn.Server:
        if self._server is None:
            self._server = _Server(self.config)
        return self._server


class _Workers(Multiprocess):
    """uvicorn's, but for these."""

    def terminate_all(self) -> None:
        """Let the workers be the last to hold the sockets, and tell them to stop."""
        for each in self.sockets:
            each.close()
        super().terminate_all()

    def handle_hup(self) -> None:
        """Let every worker read its model again by itself: one that was started anew could not go back to the old. The
        signal would be lost on one that is just starting, which is waited for.
        """
        for process in self.processes:
            if process.wait_until_ready(START_SECONDS, self.should_exit) and process.pid is not None:
                os.kill(process.pid, signal.SIGHUP)

    def keep_subprocess_alive(self) -> None:
        """See to it that the figures of a worker that died are not counted as of one that lives."""
        before = {process.pid for process in self.processes}
        super().keep_subprocess_alive()
        for gone in before - {process.pid for process in self.processes}:
            multiprocess.mark_process_dead(gone)  # type: ignore[no-untyped-call]


uvicorn.supervisors.multiprocess.Process = _Process  # type: ignore[misc]  # the only way to give workers another server
