import json
import logging
from collections.abc import Iterator

import pytest

from serve.telemetry import logs


@pytest.fixture
def root() -> Iterator[None]:
    """Puts the log back as it was."""
    before = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:], logging.root.level = before
    for name in ("serve", "ruthan", "uvicorn", "uvicorn.access", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_is_an_object_with_what_was_given(root: None, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    logging.getLogger("serve.access").info("request", extra={"route": "/v1/scan", "status": 200})
    logging.getLogger("serve").debug("not this")
    logging.getLogger("some.library").info("nor this")
    [line] = capsys.readouterr().err.splitlines()
    content = json.loads(line)
    assert content.pop("time")
    assert content == {
        "level": "INFO",
        "logger": "serve.access",
        "message": "request",
        "route": "/v1/scan",
        "status": 200,
    }
