import asyncio
from collections.abc import Callable

import pytest

from adapters.storage_contract.examples import a_credential, a_post, a_prefix, a_user, a_username, an_email, renamed
from adapters.storage_contract.steps import add, read_all, remove, save
from domain.errors import DomainError, EmailTaken, StaleVersion, UserNotFound
from domain.storage import Storage

TIMEOUT_SECONDS = 10


class ConnectionCases:
    """Every acquired connection is released, also after failures and cancellations."""

    def connections_in_use(self, storage: Storage) -> int:
        raise NotImplementedError

    @pytest.fixture
    def assert_all_released(self, storage: Storage) -> Callable[[], None]:
        def check() -> None:
            assert self.connections_in_use(storage) == 0

        return check

    async def test_success_gives_back_its_connections(
        self, storage: Storage, assert_all_released: Callable[[], None]
    ) -> None:
        user = a_user(username=a_username("ann"))
        await storage.ping()
        await add(storage, user, a_post(user), a_credential(user))
        await save(storage, renamed(user, "Renamed"))
        await read_all(storage)
        users = storage.unit_of_work().users
        await users.find_by_email(user.email)
        await users.find_by_username(a_username("ann"))
        await users.find_by_emails([user.email])
        await users.search(a_prefix("ann"), limit=3)
        await users.count()
        await remove(storage, renamed(user, "Renamed"))
        assert_all_released()

    async def test_failure_gives_back_its_connections(
        self, storage: Storage, assert_all_released: Callable[[], None]
    ) -> None:
        user = a_user()
        await add(storage, user)
        failing: list[tuple[Callable[[], asyncio.Future[None]], type[DomainError]]] = [
            (lambda: asyncio.ensure_future(add(storage, a_user(email=user.email))), EmailTaken),
            (lambda: asyncio.ensure_future(save(storage, user)), StaleVersion),
            (lambda: asyncio.ensure_future(add(storage, a_post(a_user()))), UserNotFound),
        ]
        for attempt, error in failing * 10:
            with pytest.raises(error):
                await attempt()
        assert_all_released()
        await storage.ping()

    async def test_a_crowd_gives_back_its_connections(
        self, storage: Storage, assert_all_released: Callable[[], None]
    ) -> None:
        users = [a_user() for _ in range(60)]
        await asyncio.gather(*(add(storage, user) for user in users), *(read_all(storage) for _ in range(20)))
        assert_all_released()
        assert (await read_all(storage)).users == users

    async def test_cancelled_calls_give_back_their_connections(
        self, storage: Storage, assert_all_released: Callable[[], None]
    ) -> None:
        shared = a_user()
        await add(storage, shared)
        calls = [
            lambda: add(storage, a_user(), a_user()),
            lambda: save(storage, renamed(shared, "Renamed")),
            lambda: read_all(storage),
            lambda: add(storage, a_user(email=an_email("one@example.org"))),
            storage.ping,
        ]
        for turns in range(60):
            task: asyncio.Task[object] = asyncio.ensure_future(calls[turns % len(calls)]())
            # Some are cancelled in the first turns of the loop, some later: in every state of a call.
            for _ in range(turns // 2):
                await asyncio.sleep(0)
            await asyncio.sleep(turns / 20_000)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await add(storage, a_user())  # nothing left behind blocks other calls
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while self.connections_in_use(storage):  # noqa: ASYNC110 - no store has an event for it
                await asyncio.sleep(0.01)
        assert_all_released()
        # Every released connection is still usable.
        users = [a_user() for _ in range(30)]
        await asyncio.gather(*(add(storage, user) for user in users), *(storage.ping() for _ in range(30)))
        assert {user.id for user in users} <= {user.id for user in (await read_all(storage)).users}
