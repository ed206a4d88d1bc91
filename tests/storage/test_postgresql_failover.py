"""PostgreSQL with standbys, one of which takes over."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from adapters.sql.postgresql.hosts import NO_WRITABLE_SERVER
from adapters.storage_contract.examples import a_full_user, a_post, a_user, renamed
from adapters.storage_contract.steps import add, read_all, save, stored_user
from domain.errors import StorageUnavailable
from domain.storage import Storage
from tests.servers.databases import Databases
from tests.servers.postgresql import KIND
from tests.servers.postgresql_replication import PostgresqlReplication, ReplicatedPostgresql
from tests.storage.database_contract import connected, connections_in_use
from tests.storage.failovers import added_at_last, added_until


@pytest.fixture
def servers() -> Iterator[PostgresqlReplication]:
    with PostgresqlReplication() as servers:
        yield servers


@pytest.fixture
def url(servers: PostgresqlReplication) -> str:
    return servers.url(KIND.create(servers.primary.url).rpartition("/")[2])


@pytest.fixture
async def storage(url: str) -> AsyncIterator[Storage]:
    async with connected(f"{url}?target_session_attrs=read-write") as storage:
        await storage.prepare()
        yield storage


@pytest.mark.parametrize(
    "fault", [ReplicatedPostgresql.kill, pytest.param(ReplicatedPostgresql.pause, marks=pytest.mark.cluster)]
)
async def test_a_standby_takes_over_with_all_that_was_answered(
    servers: PostgresqlReplication, storage: Storage, fault: Callable[[ReplicatedPostgresql], None]
) -> None:
    kept = a_full_user()
    await add(storage, kept, a_post(kept))
    await asyncio.gather(*(read_all(storage) for _ in range(20)))
    stop = asyncio.Event()
    writers = [asyncio.create_task(added_until(stop, storage)) for _ in range(4)]
    await asyncio.sleep(0.5)
    fault(servers.primary)
    former = await asyncio.to_thread(servers.fail_over)
    newcomer = await added_at_last(storage)
    stop.set()
    answered = [user for users in await asyncio.gather(*writers) for user in users]
    former.resume()  # it can commit nothing without a standby
    for user in (kept, newcomer, *answered):
        assert await stored_user(storage, user) == user
    assert answered
    assert connections_in_use(storage) == 0


async def test_a_server_that_is_starting_up_is_passed_over(databases: Databases) -> None:
    async def reject(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (length := int.from_bytes(await reader.readexactly(4))) == 8:  # a request for TLS
            await reader.readexactly(4)
            writer.write(b"N")
        await reader.readexactly(length - 4)
        fields = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"
        writer.write(b"E" + (4 + len(fields)).to_bytes(4) + fields)
        writer.close()

    with databases.fresh("postgresql") as url:
        async with await asyncio.start_server(reject, "127.0.0.1", 0) as starting:
            port = starting.sockets[0].getsockname()[1]
            async with connected(url.replace("@", f"@127.0.0.1:{port},", 1)) as storage:
                await storage.prepare()
                await add(storage, a_user())


@pytest.mark.cluster
async def test_there_is_no_server_for_writes_until_a_standby_is_promoted(
    servers: PostgresqlReplication, storage: Storage
) -> None:
    await add(storage, a_user())
    servers.primary.kill()
    for call in (storage.ping, lambda: add(storage, a_user())):
        with pytest.raises(StorageUnavailable) as told:
            await call()
        assert str(told.value) in {NO_WRITABLE_SERVER, str(StorageUnavailable())}
    servers.fail_over()
    await storage.ping()
    await add(storage, a_user())


@pytest.mark.cluster
async def test_a_commit_that_no_standby_has_in_time_is_not_shown(
    servers: PostgresqlReplication, storage: Storage
) -> None:
    user = a_user()
    await add(storage, user)
    for standby in servers.standbys:
        standby.pause()
    for attempt in (save(storage, renamed(user, "Another Name")), add(storage, newcomer := a_user())):
        with pytest.raises(StorageUnavailable):
            await attempt
    assert await stored_user(storage, user) == user
    assert await stored_user(storage, newcomer) is None
