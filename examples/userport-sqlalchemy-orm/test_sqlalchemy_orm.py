"""The whole contract on both databases, and what it does not cover: URLs."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from adapters.storage_contract.contract import NetworkStorageContract, PersistentStorageContract
from adapters.storage_contract.faulty_proxy import Endpoint
from domain.storage import Storage
from sqlalchemy import make_url

from userport_sqlalchemy_orm.models import Base
from userport_sqlalchemy_orm.storage import OrmStorage, open_storage

if TYPE_CHECKING:
    from tests.servers.choice import Kind
    from tests.servers.databases import Databases


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[OrmStorage]:
    storage = open_storage(f"orm+{url}")
    yield storage
    await storage.close()


class OnOneDatabase(PersistentStorageContract):
    """All cases share one database, since creating one for each case would take most of the time."""

    kind: "Kind"

    @pytest.fixture(scope="class")
    @classmethod
    async def prepared_url(cls, databases: "Databases") -> AsyncIterator[str]:
        with databases.fresh(cls.kind) as url:
            async with opened(url) as storage:
                await storage.prepare()
            yield url

    @pytest.fixture(scope="class")
    @classmethod
    async def administrator(cls, prepared_url: str) -> AsyncIterator[OrmStorage]:
        async with opened(prepared_url) as storage:
            yield storage

    @pytest.fixture
    async def url(self, prepared_url: str, administrator: OrmStorage) -> AsyncIterator[str]:
        yield prepared_url
        async with administrator.engine.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                await connection.execute(table.delete())

    @pytest.fixture
    async def storage(self, url: str) -> AsyncIterator[OrmStorage]:
        async with opened(url) as storage:
            yield storage

    @pytest.fixture
    async def another_client(self, url: str) -> AsyncIterator[OrmStorage]:
        async with opened(url) as another:
            yield another

    @pytest.fixture
    async def unprepared_clients(self, databases: "Databases") -> AsyncIterator[tuple[OrmStorage, OrmStorage]]:
        with databases.fresh(self.kind) as url:
            async with opened(url) as first, opened(url) as second:
                yield first, second

    @pytest.fixture
    async def unreachable(self, databases: "Databases") -> AsyncIterator[OrmStorage]:
        with databases.unreachable(self.kind) as url:
            async with opened(url) as storage:
                yield storage

    def connections_in_use(self, storage: Storage) -> int:
        assert isinstance(storage, OrmStorage)
        return int(storage.engine.pool.checkedout())  # type: ignore[attr-defined]


class TestOnSqlite(OnOneDatabase):
    kind = "sqlite"


class TestOnPostgresql(OnOneDatabase, NetworkStorageContract):
    kind = "postgresql"

    @pytest.fixture
    def server(self, prepared_url: str) -> Endpoint:
        url = make_url(prepared_url)
        return url.host or "localhost", url.port or 5432

    @pytest.fixture
    def open_at(self, prepared_url: str) -> Callable[[int], Storage]:
        url = make_url(prepared_url).set(host="127.0.0.1", drivername="orm+postgresql")
        return lambda port: open_storage(url.set(port=port).render_as_string(hide_password=False))


@pytest.mark.parametrize(
    "url",
    [
        "orm+sqlite://",
        "orm+sqlite:///",
        "orm+sqlite://secret@host/users.db",
        "orm+sqlite:///users.db?mode=secret",
        "orm+postgresql://user:secret@host:port/users",
        "orm+postgresql://user:secret@host/users?ssl=secret",
    ],
)
def test_a_wrong_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(write orm\+|it takes no options)") as refused:
        open_storage(url)
    assert "secret" not in str(refused.value)
