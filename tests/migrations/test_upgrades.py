"""Databases that an earlier userport has prepared and filled."""

from collections.abc import AsyncIterator

import pytest
from alembic import command
from sqlalchemy import Connection, text

from adapters.sql.schema import migration_config
from adapters.sql.storage import SqlStorage
from adapters.storage_contract.admins import an_admin
from adapters.storage_contract.examples import a_credential, a_full_session, a_full_user, a_post, some_failures
from adapters.storage_contract.steps import add, everything, remove, stored
from domain.sign_in_failures import SIGN_IN_FAILURES
from domain.session import SESSIONS
from domain.errors import StorageNotPrepared
from domain.user import User
from tests.storage.served_contract import opened

BEFORE_SESSIONS = "c51ca81b593f"


@pytest.fixture
async def storage(url: str) -> AsyncIterator[SqlStorage]:
    """A storage as it was before there were sessions."""
    async with opened(url) as storage:
        assert isinstance(storage, SqlStorage)

        await storage.database.migrate(
            lambda connection: command.upgrade(migration_config(connection), BEFORE_SESSIONS)
        )
        yield storage


@pytest.fixture
async def admin(storage: SqlStorage) -> User:
    """An active admin, who is there already, as are others."""
    member, admin = a_full_user(), an_admin()
    await add(storage, member, admin, a_post(member), a_credential(member), a_credential(admin))
    return admin


async def test_a_storage_from_before_there_were_sessions_is_not_prepared(storage: SqlStorage, admin: User) -> None:
    with pytest.raises(StorageNotPrepared):
        await storage.ping()
    with pytest.raises(StorageNotPrepared):
        await add(storage, a_full_session(admin))
    with pytest.raises(StorageNotPrepared):
        await storage.unit_of_work().records(SIGN_IN_FAILURES).get(some_failures().key)


async def test_preparing_it_again_keeps_what_is_there_and_makes_room_for_sessions(
    storage: SqlStorage, admin: User
) -> None:
    unit = storage.unit_of_work()
    users = await unit.users.page(limit=10)
    await storage.prepare()
    await storage.ping()
    found = await everything(storage)
    assert list(found.users) == users
    assert (len(users), len(found.records["posts"]), len(found.records["credentials"])) == (2, 1, 2)
    assert list(await unit.users.active_admins(limit=10)) == [admin]
    session, failures = a_full_session(admin), some_failures()
    await add(storage, session, failures)
    assert list(await unit.records(SESSIONS).page(owner=admin.id, limit=1_000)) == [session]
    assert await stored(storage, failures) == failures
    await remove(storage, admin)
    assert await unit.records(SESSIONS).get(session.id) is None
    assert list(await unit.users.active_admins(limit=10)) == []


async def test_a_migration_that_was_interrupted_goes_on_where_it_stopped(storage: SqlStorage, admin: User) -> None:
    # As MariaDB, which commits each statement by itself, leaves it behind.
    await storage.prepare()
    session = a_full_session(admin)
    await add(storage, session)

    def interrupt(connection: Connection) -> None:
        connection.execute(text("DROP TABLE sign_in_failures"))
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{BEFORE_SESSIONS}'"))  # noqa: S608

    await storage.database.migrate(interrupt)
    with pytest.raises(StorageNotPrepared):
        await storage.ping()
    await storage.prepare()
    await storage.ping()
    assert list(await storage.unit_of_work().records(SESSIONS).page(owner=admin.id, limit=1_000)) == [session]
    await add(storage, some_failures())
