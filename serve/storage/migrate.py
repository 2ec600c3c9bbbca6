"""Bring a database up to date, or see whether it is; the steps are in `serve/storage/migrations/versions`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from serve.storage.database import Database, StorageError

_LOCK = 7_266_847_264_610_001  # any number, the same for all who bring a database of ours up to date


def upgrade(database: Database) -> None:
    """Bring the tables up to date; of several processes that start together one does it, and the others wait.

    :raises StorageError: the database cannot be reached, or was made by a later version.
    """
    try:
        with _alone(database) as connection:
            if _present(connection) != _newest():
                command.upgrade(config(connection), "head")
    except SQLAlchemyError as error:
        raise StorageError(f"cannot use the database: {_said(error)}") from None
    except Exception as error:
        if type(error).__module__.startswith("alembic"):
            raise StorageError("the database was made by a later version of ruthan; upgrade ruthan") from error
        raise


def check(database: Database) -> None:
    """:raises StorageError: the tables are not up to date, or the database cannot be reached."""
    try:
        with database.engine.connect() as connection:
            present = _present(connection)
    except SQLAlchemyError as error:
        raise StorageError(f"cannot use the database: {_said(error)}") from None
    if present != _newest():
        raise StorageError(
            f"the database is at revision {present or 'none'} and {_newest()} is needed; "
            "run: ruthan-serve database upgrade"
        )


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    with database.engine.connect() as connection:
        if database.embedded:
            # Takes the lock of the file at once; the driver would wait for the first change.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        yield connection
        connection.commit()


def _present(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _newest() -> str | None:
    return ScriptDirectory.from_config(config()).get_current_head()


def config(connection: Connection | None = None) -> Config:
    """What Alembic's own commands need to know."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


def _said(error: SQLAlchemyError) -> str:
    """What the driver says, on one line; it names host and database, and no password."""
    return " ".join(str(getattr(error, "orig", None) or type(error).__name__).split())[:200]
