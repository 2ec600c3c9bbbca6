"""Thousands of made-up requests to every operation: nothing fails, and the OpenAPI document tells the truth."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from serve.settings import Settings
from serve.storage import keys, migrate
from serve.storage.database import Database
from serve.storage.keys import SCOPES

EXAMPLES = 100  # of each operation and kind of test: some 2,500 requests in all

# A caller who asks for an answer within 0.1 seconds may be told that there is none. A message of a batch that cannot be
# read is told in its place, and does not fail the others; how many there may be hangs on whether they are explained,
# which a schema cannot say.
CONFIGURATION = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 504]

[[operations]]
include-path = "/v1/scan/batch"
checks.negative_data_rejection.enabled = false
checks.positive_data_acceptance.enabled = false
"""


def test_nothing_fails_and_the_document_tells_the_truth(serving: Callable[..., Any], tmp_path: Path) -> None:
    data = tmp_path / "data"
    database = Database(Settings(data_dir=data).database)
    migrate.upgrade(database)
    with database.session() as session:
        _, key = keys.create(session, "schemathesis", SCOPES, rate=0)
    database.close()
    found = serving(
        data_dir=data,
        failures_per_address=0,
        feedback_per_key=0,
        jobs_per_key=100_000,
        jobs_at_once=0,
        deadline_seconds=60,
        line_channel_secret="secret",
        line_channel_token="token",
    )
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION)
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(configuration), "run"]
    command += [f"{found.url}/openapi.json", "-H", f"Authorization: Bearer {key}", "--seed", "7", "--no-color"]
    command += ["--max-examples", str(EXAMPLES), "--continue-on-failure", "--warnings", "off"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-8_000:]
    made = re.search(r"(\d+) generated", done.stdout)
    assert made is not None
    assert int(made[1]) > 1_500
    assert "Tested: 17" in done.stdout
    log = found.log.read_text("utf-8")
    assert '"failed"' not in log
    assert "Traceback" not in log
