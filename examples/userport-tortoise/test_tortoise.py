"""The whole contract on both databases, and what it does not cover: other databases in the process, locks, URLs."""

import asyncio
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from adapters.storage_contract.contract import NetworkStorageContract, PersistentStorageContract
from adapters.storage_contract.examples import a_full_user, a_post, a_user
from adapters.storage_contract.faulty_proxy import Endpoint
from adapters.storage_contract.steps import add, read_all
from domain.errors import TooBusy

from userport_tortoise import database
from userport_tortoise.storage import TortoiseStorage, open_postgresql, open_sqlite

if TYPE_CHECKING:
    from tests.servers.databases import Databases


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[TortoiseStorage]:
    storage = open_sqlite(url) if "+sqlite:" in url else open_postgresql(url)
    yield storage
    await storage.close()


def of_tortoise(url: str) -> str:
    return f"tortoise+{url}"


@pytest.fixture(scope="session")
async def prepared_file(databases: "Databases") -> AsyncIterator[Path]:
    with databases.fresh("sqlite") as url:
        async with opened(of_tortoise(url)) as storage:
            await storage.prepare()
        yield Path(url.removeprefix("sqlite:///"))


@pytest.fixture
def sqlite_url(databases: "Databases", prepared_file: Path) -> Iterator[str]:
    with databases.fresh("sqlite") as url:
        shutil.copy(prepared_file, url.removeprefix("sqlite:///"))
        yield of_tortoise(url)


@pytest.fixture(scope="session")
async def prepared_url(databases: "Databases") -> AsyncIterator[str]:
    with databases.fresh("postgresql") as url:
        async with opened(of_tortoise(url)) as storage:
            await storage.prepare()
        yield url


@pytest.fixture(scope="session")
async def administrator(prepared_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(prepared_url)
    yield connection
    await connection.close()


@pytest.fixture
async def postgresql_url(prepared_url: str, administrator: asyncpg.Connection) -> AsyncIterator[str]:
    yield of_tortoise(prepared_url)
    await administrator.execute("DELETE FROM records; DELETE FROM users")


class OnTortoise(PersistentStorageContract):
    @pytest.fixture
    async def storage(self, url: str) -> AsyncIterator[TortoiseStorage]:
        async with opened(url) as storage:
            yield storage

    @pytest.fixture
    async def another_client(self, url: str) -> AsyncIterator[TortoiseStorage]:
        async with opened(url) as another:
            yield another

    def connections_in_use(self, storage: object) -> int:
        assert isinstance(storage, TortoiseStorage)
        return storage.connections_in_use


class TestOnSqlite(OnTortoise):
    @pytest.fixture
    def url(self, sqlite_url: str) -> str:
        return sqlite_url

    @pytest.fixture
    async def unprepared_clients(
        self, databases: "Databases"
    ) -> AsyncIterator[tuple[TortoiseStorage, TortoiseStorage]]:
        with databases.fresh("sqlite") as url:
            async with opened(of_tortoise(url)) as first, opened(of_tortoise(url)) as second:
                yield first, second

    @pytest.fixture
    async def unreachable(self, databases: "Databases") -> AsyncIterator[TortoiseStorage]:
        with databases.unreachable("sqlite") as url:
            async with opened(of_tortoise(url)) as storage:
                yield storage


class TestOnPostgresql(OnTortoise, NetworkStorageContract):
    @pytest.fixture
    def url(self, postgresql_url: str) -> str:
        return postgresql_url

    @pytest.fixture
    async def unprepared_clients(
        self, databases: "Databases"
    ) -> AsyncIterator[tuple[TortoiseStorage, TortoiseStorage]]:
        with databases.fresh("postgresql") as url:
            async with opened(of_tortoise(url)) as first, opened(of_tortoise(url)) as second:
                yield first, second

    @pytest.fixture
    async def unreachable(self, databases: "Databases") -> AsyncIterator[TortoiseStorage]:
        with databases.unreachable("postgresql") as url:
            async with opened(of_tortoise(url)) as storage:
                yield storage

    @pytest.fixture
    def server(self, prepared_url: str) -> Endpoint:
        from tests.servers.databases import server_kind

        return server_kind("postgresql").endpoint(prepared_url)

    @pytest.fixture
    def open_at(self, prepared_url: str) -> Callable[[int], TortoiseStorage]:
        from tests.servers.databases import server_kind

        return lambda port: open_postgresql(of_tortoise(server_kind("postgresql").moved(prepared_url, port)))


async def test_databases_of_both_kinds_serve_one_process(sqlite_url: str, postgresql_url: str) -> None:
    user = a_full_user()
    async with opened(sqlite_url) as file, opened(postgresql_url) as server, opened(postgresql_url) as another:
        await asyncio.gather(*(add(storage, user, a_post(user)) for storage in (file, server)))
        await asyncio.gather(*(storage.prepare() for storage in (file, server, another)))
        found = [await read_all(storage) for storage in (file, server, another)]
    assert [contents.users for contents in found] == [[user]] * 3


def test_processes_that_import_the_same_users_add_each_of_them_once(tmp_path: Path) -> None:
    emails = [f"user.{number}@example.org" for number in range(500)]
    (tmp_path / "users.csv").write_text("email,name\n" + "".join(f"{email},Somebody\n" for email in emails))
    running = [
        subprocess.Popen(
            [
                Path(sys.executable).with_name("userport"),
                *("users", "import", "users.csv", "--storage", "tortoise+sqlite:///users.db"),
            ],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    ends = [(*process.communicate(timeout=60), process.returncode) for process in running]
    added = [int(re.findall(r"(\d+) added", said)[0]) for said, *_ in ends]
    assert sum(added) == len(emails), ends


async def test_a_locked_file_is_busy_until_it_is_free(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_RETRY_SECONDS", 0)
    user = a_user()
    async with opened(sqlite_url) as storage:
        with closing(sqlite3.connect(sqlite_url.partition(":///")[2], isolation_level=None)) as rival:
            rival.execute("BEGIN IMMEDIATE")
            with pytest.raises(TooBusy):
                await add(storage, user)
            assert (await read_all(storage)).users == []
        await add(storage, user)


@pytest.mark.parametrize(
    "url",
    [
        "tortoise+sqlite://",
        "tortoise+sqlite:///",
        "tortoise+sqlite://secret@host/users.db",
        "tortoise+sqlite:///users.db?secret=1",
        "tortoise+sqlite:///users.db#secret",
        "tortoise+postgresql://",
        "tortoise+postgresql://user:secret@host",
        "tortoise+postgresql://user:secret@host:port/users",
        "tortoise+postgresql://user:secret@[host/users",
        "tortoise+postgresql://user:secret@host/users?secret=1",
    ],
)
def test_a_wrong_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match=r"^(write tortoise|its host or port)") as refused:
        (open_sqlite if "+sqlite" in url else open_postgresql)(url)
    assert "secret" not in str(refused.value)


async def test_a_relative_file_lies_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with opened("tortoise+sqlite:///my%20users.db") as storage:
        await storage.prepare()
    assert (tmp_path / "my users.db").exists()
