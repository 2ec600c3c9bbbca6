import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, select, text

from serve.problems import Problem
from serve.settings import Settings
from serve.storage import migrate
from serve.storage.database import Database
from serve.storage.tables import Feedback, StoredText

if TYPE_CHECKING:
    from tests.serve.conftest import Postgres


def kept(**given: object) -> StoredText:
    return StoredText(
        **{"digest": "0" * 64, "message_id": "0" * 16, "text": "x", "masked": True, "created_at": 1.0, **given}
    )


def test_an_error_of_the_database_does_not_quote_what_was_to_be_kept(database: Database) -> None:
    with database.session() as session:
        session.add(kept())
    with pytest.raises(Exception, match=r"(?i)unique") as error, database.session() as session:
        session.add(kept(text="โทร 081-234-5678"))
    told = f"{error.value!r} {error.value} {error.value.__cause__}"
    assert "081-234" not in told
    assert "\\u0e" not in told


def test_a_full_disk_is_a_problem_that_says_so(settings: Settings) -> None:
    with closing(Database(settings.database)) as database:
        migrate.upgrade(database)
        with database.engine.connect() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar_one()
        event.listen(database.engine, "connect", lambda each, _: each.execute(f"PRAGMA max_page_count = {pages}"))
        database.engine.dispose()
        with pytest.raises(Problem) as problem, database.session() as session:
            session.add(kept(text="x" * 100_000))
        assert (problem.value.kind, problem.value.status) == ("storage-full", 507)
        assert database.reachable()


def test_a_database_that_is_gone_is_a_problem_and_comes_back(postgres: "Postgres") -> None:
    with closing(Database(postgres.make(f"gone_{time.time_ns()}"))) as database:
        migrate.upgrade(database)
        assert database.reachable()
        postgres.stop()
        try:
            with pytest.raises(Problem) as problem, database.session() as session:
                session.scalars(select(Feedback)).all()
            assert problem.value.kind == "storage-unavailable"
            assert problem.value.retry_after
            assert not database.reachable()
        finally:
            postgres.start()
        with database.session() as session:
            assert session.scalars(select(Feedback)).all() == []


def test_a_connection_that_breaks_within_a_transaction_is_a_problem(postgres: "Postgres") -> None:
    with closing(Database(postgres.make(f"broken_{time.time_ns()}"))) as database:
        migrate.upgrade(database)
        with pytest.raises(Problem) as problem, database.session() as session:
            session.add(kept())
            session.flush()
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        assert problem.value.kind == "storage-unavailable"
        with database.session() as session:
            assert session.scalars(select(StoredText)).all() == []
