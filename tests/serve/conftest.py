"""Settings, databases and services for the tests of the service; PostgreSQL is a real one that is started here."""

import contextlib
import os
import pwd
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp
from types import SimpleNamespace

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from serve.app import create_app, open_service
from serve.service import Service
from serve.settings import Settings
from serve.storage import keys, migrate
from serve.storage.database import Database

LOCAL = "http://127.0.0.1:8000"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a service that keeps its things in a folder of the test's."""
    return Settings(data_dir=tmp_path / "data", jobs_at_once=0, rate_per_address=0)


class Postgres:
    """A PostgreSQL server of the tests' own, on a socket in a folder of its own."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self.folder = Path(mkdtemp(prefix="rtpg-", dir="/tmp"))  # the path of a socket may have 107 bytes
        # The server refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        data = self.folder / "data"
        self._run("initdb", "-D", str(data), "-U", "ruthan", "-A", "trust", "-E", "UTF8", "--no-sync")
        self.start()

    def start(self) -> None:
        options = f"-c listen_addresses='' -c unix_socket_directories='{self.folder}' -c fsync=off"
        self._run(
            "pg_ctl", "-D", str(self.folder / "data"), "-l", str(self.folder / "log"), "-w", "-o", options, "start"
        )

    def stop(self) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "-w", "stop")

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://ruthan@/{name}?host={self.folder}"

    def make(self, name: str) -> str:
        """The URL of a new, empty database."""
        self._say("postgres", f"CREATE DATABASE {name}")
        return self.url(name)

    def empty(self) -> str:
        """The URL of a database that is the same for all tests and has nothing in it; a new one each would be slow."""
        self._say(
            "postgres",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
            "DROP SCHEMA public CASCADE",
            "CREATE SCHEMA public",
        )
        return self.url("postgres")

    def _say(self, name: str, *statements: str) -> None:
        engine = create_engine(self.url(name), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        subprocess.run(
            command, check=True, user=self._user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder
        )

    def close(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A running PostgreSQL server; without its programs, the test is skipped."""
    pytest.importorskip("psycopg", reason="needs the extra postgres")
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    places += [Path(found).parent for found in [shutil.which("initdb")] if found]
    programs = next((place for place in places if (place / "initdb").exists()), None)
    if programs is None:
        pytest.skip("no PostgreSQL server is installed here")
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    server = Postgres(programs)
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.sqlite'}"
    server: Postgres = request.getfixturevalue("postgres")
    return server.empty()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with its tables, of each kind in turn."""
    found = Database(database_url)
    migrate.upgrade(found)
    yield found
    found.close()


@pytest.fixture
def make_key() -> Callable[..., str]:
    """Makes API keys."""

    def make(service: Service, *scopes: str, rate: int | None = None, expires_at: float | None = None) -> str:
        with service.database.session() as session:
            return keys.create(session, "test", scopes, rate, expires_at)[1]

    return make


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., TestClient]]:
    """Starts services with the settings given; they stop when the test is done."""
    started: list[TestClient] = []

    def start(**given: object) -> TestClient:
        settings = Settings(**{"data_dir": tmp_path / "data", "jobs_at_once": 0, "rate_per_address": 0, **given})
        app = create_app(settings, open_service(settings))
        client = TestClient(app, base_url=LOCAL, client=("127.0.0.1", 50_000), raise_server_exceptions=False)
        client.__enter__()
        started.append(client)
        return client

    yield start
    for client in started:
        client.__exit__(None, None, None)


class Serving(SimpleNamespace):
    """A `ruthan-serve` process: its `url` and `process`, what it said in `output` and `log`."""

    url: str
    process: "subprocess.Popen[bytes]"
    log: Path


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Starts `ruthan-serve` as users do, with settings by the environment, and stops it after the test."""
    from urllib.request import urlopen

    started: list[Serving] = []

    def serve(wait: bool = True, options: tuple[str, ...] = (), **given: object) -> Serving:
        number = len(started)
        log = tmp_path / f"serving-{number}.log"
        given = {"data_dir": tmp_path / "data", "rate_per_address": 0, **given}
        environment = {**os.environ, **{f"RUTHAN_{name.upper()}": str(value) for name, value in given.items()}}
        environment["PYTHONPATH"] = str(Path(__file__).parents[2])
        with log.open("wb") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "serve.main", "--port", "0", *options],
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        url = next((word.rstrip(",") for word in line.split() if word.startswith("http")), "")
        found = Serving(url=url, process=process, log=log, output=line)
        started.append(found)
        if wait:
            for _ in range(300):
                with contextlib.suppress(OSError):
                    urlopen(f"{url}/healthz").read()
                    break
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        return found

    yield serve
    for each in started:
        if each.process.poll() is None:
            each.process.terminate()
            try:
                each.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(each.process.pid, 9)
                each.process.wait()
        assert each.process.stdout is not None
        each.process.stdout.close()
