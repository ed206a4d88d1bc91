"""A lost server is reported in time, and nothing needs a restart when it is back."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from adapters.storage_contract.examples import a_full_user, a_post, a_user
from adapters.storage_contract.steps import add, read_all, stored_user
from domain.errors import DomainError, StorageUnavailable
from domain.post import POSTS
from domain.storage import Storage
from tests.servers.choice import SERVED, Kind
from tests.servers.databases import Databases, server_kind
from tests.servers.process import ServerProcess
from tests.storage.database_contract import connected, connections_in_use

# Far more than any timeout of the adapter, but finite.
TIMEOUT_SECONDS = 60


@pytest.fixture(params=SERVED)
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


@pytest.fixture
def server(kind: Kind, databases: Databases) -> Iterator[ServerProcess]:
    with databases.own_server(kind, durable=True) as server:
        yield server


@pytest.fixture
async def storage(kind: Kind, server: ServerProcess) -> AsyncIterator[Storage]:
    async with connected(server_kind(kind).create(server.url)) as storage:
        await storage.prepare()
        yield storage


async def test_a_killed_server_is_unavailable_until_it_is_started_again(
    server: ServerProcess, storage: Storage
) -> None:
    kept = a_full_user()
    await add(storage, kept)
    await asyncio.gather(*(read_all(storage) for _ in range(20)))  # fills the pool with dead connections
    server.kill()
    for _ in range(2):
        await assert_unavailable(storage)
    server.start()
    await storage.ping()
    await asyncio.gather(*(add(storage, a_user()) for _ in range(20)))
    assert await stored_user(storage, kept) == kept
    assert connections_in_use(storage) == 0


async def test_a_server_that_was_restarted_unnoticed_is_no_failure(server: ServerProcess, storage: Storage) -> None:
    await asyncio.gather(*(read_all(storage) for _ in range(20)), *(add(storage, a_user()) for _ in range(20)))
    server.stop()
    server.start()
    await asyncio.gather(*(add(storage, a_user()) for _ in range(20)), *(read_all(storage) for _ in range(20)))


async def test_what_was_committed_survives_the_kill_of_the_server(server: ServerProcess, storage: Storage) -> None:
    committed = []
    failed = asyncio.Event()

    async def go_on_adding() -> None:
        while not failed.is_set():
            user = a_user()
            try:
                await add(storage, user, a_post(user))
            except DomainError:
                failed.set()
            else:
                committed.append(user)

    writers = asyncio.gather(*(go_on_adding() for _ in range(4)))
    await asyncio.sleep(0.5)
    server.kill()
    async with asyncio.timeout(TIMEOUT_SECONDS):
        await writers
    assert committed
    server.start()
    for user in committed:
        assert await stored_user(storage, user) == user
        assert await storage.unit_of_work().records(POSTS).count(owner=user.id) == 1


async def test_a_server_that_hangs_is_unavailable_until_it_goes_on(server: ServerProcess, storage: Storage) -> None:
    kept = a_full_user()
    await add(storage, kept)
    server.pause()
    try:
        await assert_unavailable(storage)
    finally:
        server.resume()
    await storage.ping()
    await add(storage, a_user())
    assert await stored_user(storage, kept) == kept
    assert connections_in_use(storage) == 0


async def test_a_server_that_hangs_while_many_wait_is_unavailable_to_all(
    server: ServerProcess, storage: Storage
) -> None:
    await storage.ping()
    server.pause()
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            reads = (storage.unit_of_work().users.count() for _ in range(30))
            writes = (add(storage, a_user()) for _ in range(30))
            results = await asyncio.gather(*reads, *writes, return_exceptions=True)
    finally:
        server.resume()
    assert all(isinstance(result, DomainError) for result in results)
    await storage.ping()
    await add(storage, a_user())


async def assert_unavailable(storage: Storage) -> None:
    async with asyncio.timeout(TIMEOUT_SECONDS):
        results = await asyncio.gather(
            storage.ping(), stored_user(storage, a_user()), add(storage, a_user()), return_exceptions=True
        )
    assert [type(result) for result in results] == [StorageUnavailable] * 3
