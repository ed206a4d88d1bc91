import asyncio
from collections.abc import Awaitable, Callable

import pytest

from adapters.storage_contract.examples import (
    LATER,
    a_credential,
    a_full_session,
    a_full_user,
    a_post,
    a_prefix,
    a_session,
    a_user,
    a_username,
    an_email,
    some_failures,
)
from adapters.storage_contract.steps import add, assert_same, read_all, stored, stored_user
from domain.credential import CREDENTIALS
from domain.errors import StorageNotPrepared, StorageUnavailable
from domain.post import POSTS
from domain.session import SESSIONS
from domain.sign_in_failures import SIGN_IN_FAILURES
from domain.storage import Storage

ANSWER_SECONDS = 60

CALLS: dict[str, Callable[[Storage], Awaitable[object]]] = {
    "prepare": lambda storage: storage.prepare(),
    "ping": lambda storage: storage.ping(),
    "get a user": lambda storage: storage.unit_of_work().users.get(a_user().id),
    "find by email": lambda storage: storage.unit_of_work().users.find_by_email(an_email("ann@example.org")),
    "find by emails": lambda storage: storage.unit_of_work().users.find_by_emails([an_email("ann@example.org")]),
    "find by username": lambda storage: storage.unit_of_work().users.find_by_username(a_username("ann")),
    "page users": lambda storage: storage.unit_of_work().users.page(limit=1),
    "search users": lambda storage: storage.unit_of_work().users.search(a_prefix("ann"), limit=1),
    "count users": lambda storage: storage.unit_of_work().users.count(),
    "read admins": lambda storage: storage.unit_of_work().users.active_admins(limit=1),
    "get a post": lambda storage: storage.unit_of_work().records(POSTS).get(a_post(a_user()).id),
    "page posts": lambda storage: storage.unit_of_work().records(POSTS).page(owner=a_user().id, limit=1),
    "count posts": lambda storage: storage.unit_of_work().records(POSTS).count(owner=a_user().id),
    "get a credential": lambda storage: storage.unit_of_work().records(CREDENTIALS).get(a_user().id),
    "get a session": lambda storage: storage.unit_of_work().records(SESSIONS).get(a_session(a_user()).id),
    "read sessions": lambda storage: storage.unit_of_work().records(SESSIONS).page(owner=a_user().id, limit=1_000),
    "get failures": lambda storage: storage.unit_of_work().records(SIGN_IN_FAILURES).get(some_failures().key),
    "read expired failures": lambda storage: storage.unit_of_work().records(SIGN_IN_FAILURES).due(LATER, limit=1),
    "commit": lambda storage: add(storage, a_user()),
}


class PersistenceCases:
    """Data outside of this process persist, and a missing store is reported."""

    async def test_what_was_committed_outlives_the_client(self, storage: Storage, another_client: Storage) -> None:
        user = a_full_user()
        failures = some_failures()
        await add(storage, user, a_post(user), a_credential(user), a_full_session(user), failures)
        before = await read_all(storage)
        await storage.close()
        assert await read_all(another_client) == before
        assert_same(await stored(another_client, failures), failures)
        assert_same(await stored_user(another_client, user), user)

    async def test_an_empty_place_is_not_prepared(self, unprepared_clients: tuple[Storage, Storage]) -> None:
        for storage in unprepared_clients:
            with pytest.raises(StorageNotPrepared):
                await storage.ping()

    async def test_nothing_can_be_done_in_an_unprepared_place(
        self, unprepared_clients: tuple[Storage, Storage]
    ) -> None:
        for name, call in CALLS.items():
            if name != "prepare":
                with pytest.raises(StorageNotPrepared):
                    await call(unprepared_clients[0])

    async def test_a_place_is_prepared_by_several_at_once(self, unprepared_clients: tuple[Storage, Storage]) -> None:
        await asyncio.gather(*(client.prepare() for client in unprepared_clients * 3))
        user = a_user()
        await add(unprepared_clients[0], user)
        for client in unprepared_clients:
            await client.ping()
            assert (await read_all(client)).users == [user]

    async def test_a_client_that_was_there_first_goes_on_once_another_has_prepared(
        self, unprepared_clients: tuple[Storage, Storage]
    ) -> None:
        early, other = unprepared_clients
        with pytest.raises(StorageNotPrepared):
            await early.ping()
        await other.prepare()
        await early.ping()
        await add(early, a_user())

    async def test_a_place_that_cannot_be_reached_is_unavailable(self, unreachable: Storage) -> None:
        for call in CALLS.values():
            async with asyncio.timeout(ANSWER_SECONDS):
                with pytest.raises(StorageUnavailable):
                    await call(unreachable)

    async def test_concurrent_calls_raise_while_the_storage_is_unreachable(self, unreachable: Storage) -> None:
        async with asyncio.timeout(ANSWER_SECONDS):
            results = await asyncio.gather(
                *(call(unreachable) for call in CALLS.values() for _ in range(3)), return_exceptions=True
            )
        assert {type(result) for result in results} == {StorageUnavailable}
