"""What the contract leaves open, or cannot bring about, and a database could get wrong."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from typing import ClassVar

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.sql.rows import user_values
from adapters.sql.storage import SqlStorage
from adapters.sql.tables import USERS
from adapters.storage_contract.examples import a_credential, a_full_session, a_user, renamed
from adapters.storage_contract.steps import add, assert_same, everything, save, stored_session
from domain.session import Session
from domain.storage import Storage, UnitOfWork
from tests.servers.choice import Kind
from tests.servers.databases import Databases
from tests.storage.served_contract import opened


class SqlCases:
    kind: ClassVar[Kind]

    @pytest.fixture
    def url(self, databases: Databases) -> Iterator[str]:
        with databases.fresh(self.kind) as url:
            yield url

    @pytest.fixture
    async def storage(self, url: str) -> AsyncIterator[Storage]:
        async with opened(url) as storage:
            await storage.prepare()
            yield storage

    @pytest.fixture
    async def another_client(self, storage: Storage, url: str) -> AsyncIterator[Storage]:
        async with opened(url) as another:
            yield another

    async def test_a_user_agent_may_be_of_any_script_and_end_with_spaces(self, storage: Storage) -> None:
        user = a_user()
        longest = [character * Session.LONGEST_USER_AGENT for character in ("x", "ß", "狐", "🦊")]
        sessions = [replace(a_full_session(user), user_agent=text) for text in (*longest, "", "spaces  ")]
        await add(storage, user, *sessions)
        for session in sessions:
            assert_same(await stored_session(storage, session), session)


class Abandoned(Exception):
    """Takes back a transaction."""


class SqlServerCases(SqlCases):
    """Of a database that lets transactions write at the same time."""

    async def test_a_required_user_cannot_be_changed_before_the_commit_is_done(
        self, storage: Storage, another_client: Storage
    ) -> None:
        user = a_user()
        await add(storage, user)
        await assert_required(
            storage, lambda unit: unit.users.require(user), lambda: save(another_client, renamed(user, "Renamed"))
        )
        assert (await everything(storage)).users[0] == renamed(user, "Renamed")

    async def test_a_required_credential_cannot_be_replaced_before_the_commit_is_done(
        self, storage: Storage, another_client: Storage
    ) -> None:
        user = a_user()
        before, after = a_credential(user), a_credential(user)
        await add(storage, user, before)
        await assert_required(
            storage, lambda unit: unit.credentials.require(before), lambda: add(another_client, after)
        )
        assert (await everything(storage)).credentials == [after]

    async def test_commits_that_require_two_users_in_opposite_order_do_not_wait_for_each_other(
        self, storage: Storage, another_client: Storage
    ) -> None:
        ann, ben = a_user(), a_user()
        credentials = a_credential(ann), a_credential(ben)
        await add(storage, ann, ben, *credentials)

        async def require(client: Storage, order: int) -> None:
            unit = client.unit_of_work()
            for credential in credentials[::order]:
                unit.credentials.require(credential)
            for user in (ann, ben)[::order]:
                unit.users.require(user)
            await unit.commit()

        async with asyncio.timeout(5):
            for _ in range(20):
                attempts = (require(client, order) for client in (storage, another_client) for order in (1, -1))
                await asyncio.gather(*attempts)


async def assert_required(
    storage: Storage, require: Callable[[UnitOfWork], None], change: Callable[[], Awaitable[None]]
) -> None:
    """Begin a commit that has to wait behind what it requires, and a change of that."""
    assert isinstance(storage, SqlStorage)
    rival, held, go_on = a_user(), asyncio.Event(), asyncio.Event()

    async def hold_an_email(connection: AsyncConnection) -> None:
        await connection.execute(USERS.insert(), [user_values(rival)])
        held.set()
        await go_on.wait()
        raise Abandoned

    holding = asyncio.create_task(storage.database.write(hold_an_email))
    await held.wait()
    unit = storage.unit_of_work()
    require(unit)
    unit.users.add(a_user(email=rival.email))
    commit = asyncio.create_task(unit.commit())
    await asyncio.sleep(0.3)
    changing = asyncio.ensure_future(change())
    await asyncio.sleep(0.3)
    assert not commit.done()
    assert not changing.done()
    go_on.set()
    with pytest.raises(Abandoned):
        await holding
    await commit
    await changing
