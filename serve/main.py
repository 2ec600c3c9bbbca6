"""Start the scan endpoint, or look after what it keeps.

ruthan-serve --host 127.0.0.1 --port 8000
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from ruthan.errors import RuthanError

FAILED = 2  # exit code of whatever could not be done


def parser() -> argparse.ArgumentParser:
    """The options of `ruthan-serve`."""
    from serve.commands import database, feedback, keys, texts

    result = argparse.ArgumentParser(
        prog="ruthan-serve", description="Serve the ruthan scan endpoint. docs/serving.md has all settings."
    )
    result.add_argument("--host", help="address to listen on (default: 127.0.0.1)")
    result.add_argument("--port", type=int, help="port to listen on (default: 8000)")
    result.add_argument("--workers", type=int, help="processes that answer (default: 1)")
    result.add_argument("--settings", type=Path, metavar="FILE", help="settings in YAML (default: $RUTHAN_SETTINGS)")
    result.set_defaults(run=_serve)
    commands = result.add_subparsers(title="commands", metavar="keys|feedback|texts|database")
    for command in (keys, feedback, texts, database):
        command.add_parser(commands)
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped, or carry out a command; 2 with one line on stderr where that cannot be done."""
    try:
        options = parser().parse_args(arguments)
        code: int = options.run(options)
    except ModuleNotFoundError as error:
        print(f"ruthan-serve: {error.name} is not installed; run: pip install 'ruthan[serve]'", file=sys.stderr)
        return FAILED
    except RuthanError as error:
        print(f"ruthan-serve: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130
    return code


def _serve(options: argparse.Namespace) -> int:
    from serve.access import check_may_listen
    from serve.app import open_service
    from serve.commands.common import opened
    from serve.settings import FILE, PREFIX, read_settings
    from serve.signals import hang_up_means_nothing
    from serve.supervisor import listen, run_here, run_workers
    from serve.telemetry import logs

    given = {"host": options.host, "port": options.port, "workers": options.workers}
    settings = read_settings(file=options.settings, **given)
    logs.configure(settings.log_level)
    with opened(settings) as database:
        check_may_listen(settings, database)
    with listen(settings) as listening:
        host, port = listening.getsockname()[:2]
        place = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        hang_up_means_nothing()
        # Until the server takes it; and raised by it once more when it has stopped.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        if settings.workers == 1:
            service = open_service(settings)
            loaded = service.models.current
            print(f"ruthan: {place}, model {loaded.model_version}, policy {loaded.policy_version}", flush=True)
            run_here(settings, service, listening)
            return 0
        if options.settings:
            os.environ[FILE] = str(options.settings)
        os.environ |= {PREFIX + name.upper(): str(value) for name, value in given.items() if value is not None}
        print(f"ruthan: {place}, {settings.workers} workers", flush=True)
        return 0 if run_workers(settings, listening) else FAILED


if __name__ == "__main__":
    sys.exit(main())
