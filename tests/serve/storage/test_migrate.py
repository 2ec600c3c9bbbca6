import subprocess
import sys
from contextlib import closing

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from serve.storage import keys, migrate
from serve.storage.database import Database, StorageError
from serve.storage.tables import Table


def test_the_migrations_make_the_tables_as_they_are_written(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_a_database_that_is_up_to_date_stays_as_it_is(database: Database) -> None:
    migrate.upgrade(database)
    migrate.check(database)


def test_keys_of_the_first_version_are_their_own_owners(database_url: str) -> None:
    with closing(Database(database_url)) as old:
        with old.engine.begin() as connection:
            command.upgrade(migrate.config(connection), "0001")
            made = (
                "INSERT INTO api_keys (id, name, digest, scopes, created_at) VALUES ('0a1b2c3d', 'x', '0', 'scan', 1)"
            )
            connection.execute(text(made))
        migrate.upgrade(old)
        migrate.check(old)
        with old.session() as session:
            assert [(key.id, key.owner, key.name) for key in keys.every(session)] == [("0a1b2c3d", "0a1b2c3d", "x")]


def test_a_database_without_tables_is_told_what_to_run(database_url: str) -> None:
    with (
        closing(Database(database_url)) as bare,
        pytest.raises(StorageError, match="run: ruthan-serve database upgrade"),
    ):
        migrate.check(bare)


def test_a_database_of_a_later_version_is_refused(database: Database) -> None:
    with database.session() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageError, match="later version of ruthan"):
        migrate.upgrade(database)


def test_workers_that_start_together_do_not_get_into_each_others_way(database_url: str) -> None:
    code = (
        "import sys; from serve.storage import migrate; from serve.storage.database import Database; "
        "migrate.upgrade(Database(sys.argv[1]))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, database_url]) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0, 0, 0, 0]
    with closing(Database(database_url)) as made:
        migrate.check(made)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense", "cannot be used"),
        ("nosuch://x", "cannot be used"),
        ("mysql+pymysql://u:secret@h/d", "not installed"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_without_its_password(url: str, told: str) -> None:
    with pytest.raises(StorageError, match=told) as error:
        Database(url)
    assert "secret" not in str(error.value)


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    pytest.importorskip("psycopg", reason="needs the extra postgres")
    away = Database("postgresql+psycopg://u:secret@127.0.0.1:1/d")
    with closing(away), pytest.raises(StorageError, match="cannot use the database") as error:
        migrate.upgrade(away)
    assert "secret" not in str(error.value)
