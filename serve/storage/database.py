"""The database: opened once, brought up to date, and used in short transactions off the event loop."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import CursorResult, create_engine, event, make_url, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.sql.dml import UpdateBase
from starlette.concurrency import run_in_threadpool

from ruthan.errors import RuthanError
from serve.problems import Problem

T = TypeVar("T")

BUSY_SECONDS = 10  # that a writer waits for another one of SQLite
RETRY_AFTER = 5.0


class StorageError(RuthanError):
    """The database cannot be opened, or is of another version."""


class Database:
    """One database; safe to share between threads."""

    def __init__(self, url: str) -> None:
        """:raises StorageError: no database can be meant, its driver is missing, or its folder cannot be made."""
        try:
            parsed = make_url(url)
            options: dict[str, Any] = {"hide_parameters": True}  # errors, which are logged, shall not quote messages
            self.embedded = parsed.get_backend_name() == "sqlite"
            if self.embedded:
                options["connect_args"] = {"timeout": BUSY_SECONDS}
                if parsed.database and parsed.database != ":memory:":
                    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            else:
                # A connection that the server has closed is found out before it is used.
                options |= {"pool_pre_ping": True, "pool_size": 5, "max_overflow": 10, "pool_timeout": 5}
                # In seconds, and in milliseconds: a server that does not answer is one that is away.
                options["connect_args"] = {"connect_timeout": 5, "tcp_user_timeout": 5_000}
            self.engine = create_engine(parsed, **options)
        except ModuleNotFoundError as error:
            raise StorageError(f"{error.name} is not installed; run: pip install 'ruthan[postgres]'") from error
        except OSError as error:
            raise StorageError(f"cannot make the folder {error.filename}: {error.strerror}") from error
        except (SQLAlchemyError, ValueError) as error:
            raise StorageError(
                f"the database URL cannot be used: {type(error).__name__}; see docs/serving.md"
            ) from None
        if self.embedded:
            event.listen(self.engine, "connect", _durable)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False)

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction: kept when the block ends, undone when it raises.

        :raises Problem: `storage-unavailable` or `storage-full`.
        """
        try:
            with self._sessions.begin() as session:
                yield session
        except DBAPIError as error:
            raise self._problem(error) from error
        except SQLAlchemyError as error:
            if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:  # no connection was free
                raise Problem("storage-unavailable", _AWAY, retry_after=RETRY_AFTER) from error
            raise

    async def run(self, work: Callable[[Session], T]) -> T:
        """Do `work` in a transaction, on a thread of its own."""

        def inside() -> T:
            with self.session() as session:
                return work(session)

        return await run_in_threadpool(inside)

    def reachable(self) -> bool:
        """Whether the database answers."""
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except SQLAlchemyError:
            return False
        return True

    def scrub(self) -> None:
        """Have what was deleted leave the files, too; of PostgreSQL its own vacuum does so.

        :raises Problem: `storage-unavailable`.
        """
        if self.embedded:
            with self.session() as session:
                session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    @staticmethod
    def _problem(error: DBAPIError) -> BaseException:
        said = str(error.orig).lower()
        if "disk is full" in said or "no space left" in said or "could not extend file" in said:
            return Problem("storage-full", "nothing was kept; try again later", retry_after=60)
        if error.connection_invalidated or type(error).__name__ in ("OperationalError", "InterfaceError"):
            return Problem("storage-unavailable", _AWAY, retry_after=RETRY_AFTER)
        return error


_AWAY = "nothing was kept; try again in a few seconds"


def alone(session: Session, name: str) -> None:
    """Let transactions that begin with this, under the same name, come one after the other."""
    connection = session.connection()
    if connection.dialect.name == "sqlite":  # one writer at a time, whatever the name
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def changed(session: Session, statement: UpdateBase) -> int:
    """Carry out an update or a deletion; how many rows it met."""
    result = session.execute(statement)
    assert isinstance(result, CursorResult)
    return result.rowcount


def _durable(connection: Any, _: Any) -> None:
    """SQLite: what was committed survives a crash, what was deleted is overwritten, readers do not wait for writers."""
    cursor = connection.cursor()
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
