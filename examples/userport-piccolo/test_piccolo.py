"""The whole contract, and what it does not cover: other databases in the process, URLs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg
import pytest
from adapters.storage_contract.contract import NetworkStorageContract
from adapters.storage_contract.examples import a_full_user, a_post
from adapters.storage_contract.faulty_proxy import Endpoint
from adapters.storage_contract.steps import add, read_all

from userport_piccolo.storage import PiccoloStorage, open_storage

if TYPE_CHECKING:
    from tests.servers.databases import Databases


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[PiccoloStorage]:
    storage = open_storage(f"piccolo+{url}")
    yield storage
    await storage.close()


@pytest.fixture(scope="session")
async def prepared_url(databases: "Databases") -> AsyncIterator[str]:
    with databases.fresh("postgresql") as url:
        async with opened(url) as storage:
            await storage.prepare()
        yield url


@pytest.fixture(scope="session")
async def administrator(prepared_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(prepared_url)
    yield connection
    await connection.close()


@pytest.fixture
async def url(prepared_url: str, administrator: asyncpg.Connection) -> AsyncIterator[str]:
    yield prepared_url
    await administrator.execute("DELETE FROM records; DELETE FROM users")


class TestPiccoloStorage(NetworkStorageContract):
    @pytest.fixture
    async def storage(self, url: str) -> AsyncIterator[PiccoloStorage]:
        async with opened(url) as storage:
            yield storage

    @pytest.fixture
    async def another_client(self, url: str) -> AsyncIterator[PiccoloStorage]:
        async with opened(url) as another:
            yield another

    @pytest.fixture
    async def unprepared_clients(self, databases: "Databases") -> AsyncIterator[tuple[PiccoloStorage, PiccoloStorage]]:
        with databases.fresh("postgresql") as empty:
            async with opened(empty) as first, opened(empty) as second:
                yield first, second

    @pytest.fixture
    async def unreachable(self, databases: "Databases") -> AsyncIterator[PiccoloStorage]:
        with databases.unreachable("postgresql") as nowhere:
            async with opened(nowhere) as storage:
                yield storage

    @pytest.fixture
    def server(self, prepared_url: str) -> Endpoint:
        from tests.servers.databases import server_kind

        return server_kind("postgresql").endpoint(prepared_url)

    @pytest.fixture
    def open_at(self, prepared_url: str) -> Callable[[int], PiccoloStorage]:
        from tests.servers.databases import server_kind

        return lambda port: open_storage(f"piccolo+{server_kind('postgresql').moved(prepared_url, port)}")

    def connections_in_use(self, storage: object) -> int:
        assert isinstance(storage, PiccoloStorage)
        return storage.connections_in_use


async def test_two_databases_serve_one_process(url: str, databases: "Databases") -> None:
    ann, ben = a_full_user(), a_full_user()
    with databases.fresh("postgresql") as other_url:
        async with opened(url) as storage, opened(other_url) as other:
            await other.prepare()
            await asyncio.gather(add(storage, ann, a_post(ann)), add(other, ben, a_post(ben)))
            found = await asyncio.gather(read_all(storage), read_all(other))
    assert [contents.users for contents in found] == [[ann], [ben]]


@pytest.mark.parametrize(
    "rest",
    ["", "user:secret@host", "user:secret@host:port/users", "user:secret@[host/users", "u:p@host/users?secret=1"],
)
def test_a_wrong_url_is_refused_and_not_repeated(rest: str) -> None:
    with pytest.raises(ValueError, match=r"^(write piccolo|its host or port)") as refused:
        open_storage(f"piccolo+postgresql://{rest}")
    assert "secret" not in str(refused.value)
