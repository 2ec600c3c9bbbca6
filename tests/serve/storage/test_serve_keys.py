import time

import pytest

from serve.storage import keys
from serve.storage.database import Database
from serve.storage.keys import ApiKeyError
from serve.storage.tables import ApiKey


def test_only_the_digest_of_a_key_is_kept(database: Database) -> None:
    with database.session() as session:
        row, key = keys.create(session, "hotline", ["scan", "feedback"], 60)
    assert keys.FORM.fullmatch(key)
    with database.session() as session:
        kept = session.get(ApiKey, row.id)
        assert kept is not None
        assert key.rpartition("_")[2] not in str(vars(kept))
        assert (kept.digest, kept.scopes, kept.rate) == (keys.digest_of(key), "scan feedback", 60)
        assert keys.valid(kept)


def test_a_key_without_scopes_or_with_unknown_ones_is_not_made(database: Database) -> None:
    with database.session() as session:
        with pytest.raises(ApiKeyError, match="opens nothing"):
            keys.create(session, "x", [])
        with pytest.raises(ApiKeyError, match="no scope 'root'; there are scan"):
            keys.create(session, "x", ["scan", "root"])


def test_a_key_ends_when_it_is_revoked_or_its_time_is_over(database: Database) -> None:
    with database.session() as session:
        row, _ = keys.create(session, "x", ["scan"], expires_at=time.time() + 50)
        assert keys.valid(row)
        assert not keys.valid(row, time.time() + 51)
        keys.revoke(session, row.id)
        assert not keys.valid(row)
        assert keys.any_made(session)
        assert not keys.any_valid(session)
        with pytest.raises(ApiKeyError, match="there is no key 'nosuch'"):
            keys.revoke(session, "nosuch")


def test_a_rotated_key_is_like_the_old_one_which_goes_on_for_a_time(database: Database) -> None:
    with database.session() as session:
        old, old_key = keys.create(session, "bank", ["jobs", "scan"], 9, time.time() + 86_400)
        session.flush()
        new, new_key = keys.rotate(session, old.id, 3_600)
        assert new_key != old_key
        assert (new.name, new.scopes, new.rate, new.owner) == ("bank", "scan jobs", 9, old.id)
        assert keys.valid(old)
        assert not keys.valid(old, time.time() + 3_601)
        assert keys.valid(new, time.time() + 3_601)
        assert keys.rotate(session, new.id, 3_600)[0].owner == old.id
        keys.revoke(session, old.id)
        with pytest.raises(ApiKeyError, match="is over"):
            keys.rotate(session, old.id, 1)
