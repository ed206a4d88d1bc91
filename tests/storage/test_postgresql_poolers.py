"""PostgreSQL behind PgBouncer, in both of its modes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import ClassVar

import asyncpg
import pytest

from adapters.storage_contract.concurrency import ConcurrencyCases
from adapters.storage_contract.examples import a_full_user, a_post, a_user, renamed
from adapters.storage_contract.faulty_proxy import Endpoint
from adapters.storage_contract.lifecycle import LifecycleCases
from adapters.storage_contract.network import OutageCases
from adapters.storage_contract.steps import add, outcomes, read_all, save, stored_user
from domain.errors import EmailTaken, IdTaken, StorageUnavailable
from domain.storage import Storage
from entrypoints.storage_by_url import open_storage
from tests.servers.choice import Kind
from tests.servers.databases import Databases
from tests.servers.pgbouncer import MAX_SERVER_CONNECTIONS, PgbouncerProcess, PoolMode
from tests.servers.postgresql import KIND
from tests.storage.database_contract import ServerStorageContract, connected


class PooledContract(ServerStorageContract):
    """The database is created and emptied without the pooler, and used through it."""

    kind: ClassVar[Kind] = "postgresql"
    pool_mode: ClassVar[PoolMode]

    @pytest.fixture(scope="class")
    @classmethod
    def database_url(cls, databases: Databases) -> Iterator[str]:
        with databases.fresh("postgresql") as url:
            yield url

    @pytest.fixture(scope="class")
    @classmethod
    def pooler(cls, database_url: str) -> Iterator[PgbouncerProcess]:
        with PgbouncerProcess(database_url, cls.pool_mode) as pooler:
            yield pooler

    @pytest.fixture(scope="class")
    @classmethod
    async def prepared_url(cls, database_url: str, pooler: PgbouncerProcess) -> str:
        url = pooler.url_before(database_url)
        async with connected(url) as storage:
            await storage.prepare()
        return url

    @pytest.fixture
    def empty_url(self, prepared_url: str, database_url: str) -> Iterator[str]:
        yield prepared_url
        KIND.empty(database_url)

    @pytest.fixture
    async def unprepared_clients(
        self, databases: Databases, pooler: PgbouncerProcess
    ) -> AsyncIterator[tuple[Storage, Storage]]:
        with databases.fresh("postgresql") as url:
            async with connected(pooler.url_before(url)) as first, connected(pooler.url_before(url)) as second:
                yield first, second

    @pytest.fixture
    def server(self, pooler: PgbouncerProcess) -> Endpoint:
        return "127.0.0.1", pooler.port

    @pytest.fixture
    def open_at(self, prepared_url: str) -> Callable[[int], Storage]:
        return lambda port: open_storage(KIND.moved(prepared_url, port))


class TestPostgreSQLByTransactionPooler(PooledContract):
    pool_mode = "transaction"
    quick_groups = (ConcurrencyCases, LifecycleCases, OutageCases)


class TestPostgreSQLBySessionPooler(PooledContract):
    pool_mode = "session"
    quick_groups = (LifecycleCases,)


@pytest.fixture(params=["session", "transaction"])
def pooler(request: pytest.FixtureRequest, databases: Databases) -> Iterator[PgbouncerProcess]:
    with databases.fresh("postgresql") as url, PgbouncerProcess(url, request.param) as pooler:
        yield pooler


@pytest.fixture
async def storage(pooler: PgbouncerProcess) -> AsyncIterator[Storage]:
    async with connected(pooler.url) as storage:
        await storage.prepare()
        yield storage


async def test_many_calls_at_once_are_answered_as_without_a_pooler(storage: Storage, pooler: PgbouncerProcess) -> None:
    users = [a_user() for _ in range(60)]
    async with connected(pooler.url) as another:
        clients = (storage, another)
        taken = await outcomes([add(clients[n % 2], users[n // 2]) for n in range(120)])
        assert taken.count(None) == 60
        assert set(taken) <= {None, EmailTaken, IdTaken}
        await asyncio.gather(*(save(clients[n % 2], renamed(user, f"User {n}")) for n, user in enumerate(users)))
        posts = [a_post(user) for user in users]
        looked = [stored_user(clients[n % 2], user) for n, user in enumerate(users)]
        found, _ = await asyncio.gather(
            asyncio.gather(*looked), asyncio.gather(*(add(storage, post) for post in posts))
        )
        assert [user and user.name for user in found] == [f"User {n}" for n in range(60)]
        assert len((await read_all(another)).records["posts"]) == 60


@pytest.mark.parametrize("pooler", ["transaction"], indirect=True)
async def test_no_setting_is_left_in_a_session_that_others_get(storage: Storage, pooler: PgbouncerProcess) -> None:
    kept = a_full_user()
    await add(storage, kept, a_post(kept))
    await asyncio.gather(*(add(storage, a_user()) for _ in range(20)), *(read_all(storage) for _ in range(20)))
    left = (
        "SELECT name FROM pg_settings WHERE name IN ('jit', 'lock_timeout') AND setting <> reset_val "
        "UNION ALL SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%users%'"
    )
    connection = await asyncpg.connect(pooler.url_without_option, statement_cache_size=0)
    try:
        for _ in range(2 * MAX_SERVER_CONNECTIONS["transaction"]):  # one session after the other
            async with connection.transaction():
                assert await connection.fetch(left) == []
    finally:
        await connection.close()


async def test_a_pooler_in_transaction_mode_needs_the_option(databases: Databases) -> None:
    with databases.fresh("postgresql") as url, PgbouncerProcess(url, "transaction") as pooler:
        async with connected(KIND.moved(url, pooler.port)) as storage:
            for attempt in (storage.prepare, storage.ping):
                with pytest.raises(StorageUnavailable, match=r"add \?pooler=transaction to the storage URL"):
                    await attempt()


async def test_a_pooler_that_is_in_use_needs_the_option_as_well(databases: Databases) -> None:
    with databases.fresh("postgresql") as url, PgbouncerProcess(url, "transaction") as pooler:
        async with connected(pooler.url) as others, connected(KIND.moved(url, pooler.port)) as storage:
            await others.prepare()
            busy = asyncio.gather(*(read_all(others) for _ in range(200)))
            with pytest.raises(StorageUnavailable, match=r"add \?pooler=transaction to the storage URL"):
                await _use_for_ever(storage)
            await busy


@asynccontextmanager
async def _refusing_pooler() -> AsyncIterator[int]:
    """Listen, as a pooler that knows no startup parameter, at the port that is yielded."""
    fields = (b"SFATAL", b"C08P01", b"Munsupported startup parameter: application_name")
    refusal = b"".join(field + b"\0" for field in fields) + b"\0"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # whether there is TLS
        writer.write(b"N")
        await reader.read(1_000)
        writer.write(b"E" + (len(refusal) + 4).to_bytes(4) + refusal)
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("hosts", ["127.0.0.1:{port}", "127.0.0.1:{port},localhost:{port}"], ids=["one", "several"])
async def test_a_pooler_that_refuses_a_startup_parameter_is_reported_with_what_to_do(hosts: str) -> None:
    async with _refusing_pooler() as port, connected(f"postgresql://a:b@{hosts.format(port=port)}/users") as storage:
        for attempt in (storage.prepare(), storage.ping(), stored_user(storage, a_user())):
            with pytest.raises(StorageUnavailable, match=r"application_name .* add \?pooler=transaction"):
                await attempt


async def _use_for_ever(storage: Storage) -> None:
    while True:
        await storage.ping()
        await add(storage, a_user())
