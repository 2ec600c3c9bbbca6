"""Start the scan endpoint.

ruthan-serve --host 127.0.0.1 --port 8000
"""

import argparse
import sys
from collections.abc import Sequence

from ruthan.errors import RuthanError


def parser() -> argparse.ArgumentParser:
    """The options of `ruthan-serve`."""
    result = argparse.ArgumentParser(prog="ruthan-serve", description="Serve the ruthan scan endpoint.")
    result.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    result.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stopped; 2 with one line on stderr when the service cannot start."""
    options = parser().parse_args(arguments)
    try:
        import uvicorn

        from ruthan.scanner import Scanner
        from serve.app import create_app
        from serve.settings import Settings
    except ModuleNotFoundError as error:
        print(f"ruthan-serve: {error.name} is not installed; run: pip install 'ruthan[serve]'", file=sys.stderr)
        return 2
    try:
        settings = Settings.from_environment()
        app = create_app(settings, Scanner(settings.model, settings.policy))
    except RuthanError as error:
        print(f"ruthan-serve: {error}", file=sys.stderr)
        return 2
    uvicorn.run(app, host=options.host, port=options.port, access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
