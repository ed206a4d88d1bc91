"""Failures that only Redis has, and their effects."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn

import pytest
from redis.exceptions import ResponseError

from adapters.redis.config import RedisConfig
from adapters.storage_contract.examples import a_full_user, a_post, a_user
from adapters.storage_contract.steps import StorageContents, add, read_all, remove, stored_user
from domain.errors import StorageNotPrepared, StorageUnavailable, TooBusy
from domain.storage import Storage
from tests.servers.databases import Databases
from tests.servers.process import ServerProcess
from tests.servers.redis import KIND, client
from tests.storage.database_contract import connected

TIMEOUT_SECONDS = 60


@pytest.fixture(scope="module")
def server(databases: Databases) -> Iterator[ServerProcess]:
    with databases.own_server("redis") as server:
        yield server


@pytest.fixture
def url(server: ServerProcess) -> str:
    return KIND.create(server.url)


@pytest.fixture
async def storage(url: str) -> AsyncIterator[Storage]:
    async with connected(url) as storage:
        await storage.prepare()
        yield storage


@pytest.fixture
def redis(server: ServerProcess, storage: Storage) -> Iterator[Any]:
    with client(server.url) as redis:
        yield redis


async def test_scripts_that_the_server_has_forgotten_are_sent_again(storage: Storage, redis: Any) -> None:
    user = a_user()
    await add(storage, user)
    redis.script_flush()
    assert await stored_user(storage, user) == user
    redis.script_flush()
    await add(storage, a_user())


async def test_a_server_that_was_flushed_is_not_prepared(storage: Storage, redis: Any) -> None:
    await add(storage, a_user())
    redis.flushall()
    with pytest.raises(StorageNotPrepared):
        await storage.ping()
    with pytest.raises(StorageNotPrepared):
        await add(storage, a_user())


async def test_a_full_server_is_too_busy_and_applies_nothing(storage: Storage, redis: Any) -> None:
    kept, gone = a_full_user(), a_full_user()
    await add(storage, kept, gone)
    before = await read_all(storage)
    redis.config_set("maxmemory", 1)
    try:
        unit = storage.unit_of_work()
        unit.users.add(a_user())
        unit.users.remove(gone)
        with pytest.raises(TooBusy):
            await add(storage, a_user())
        assert await read_all(storage) == before
        # Redis lets a script continue that began with a removal, so this one is applied completely.
        await unit.commit()
    finally:
        redis.config_set("maxmemory", 0)
    assert len((await read_all(storage)).users) == 2


async def test_a_full_server_makes_room_by_the_removal_of_a_user_with_any_number_of_records(
    url: str, storage: Storage, redis: Any
) -> None:
    kept, gone = a_full_user(), a_full_user()
    await add(storage, kept, gone, *(a_post(gone) for _ in range(2_000)))
    redis.config_set("maxmemory", 1)
    try:
        await remove(storage, gone)
        assert (await read_all(storage)) == StorageContents.of(kept)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while redis.hlen(RedisConfig.parse(url).key("records")) > 1:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.01)
    finally:
        redis.config_set("maxmemory", 0)


async def test_a_replica_is_unavailable_to_commits_until_it_is_promoted(storage: Storage, redis: Any) -> None:
    user = a_user()
    await add(storage, user)
    redis.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(StorageUnavailable, match="read-only"):
            await add(storage, a_user())
        redis.config_set("replica-serve-stale-data", "no")
        with pytest.raises(StorageUnavailable, match="no master"):
            await stored_user(storage, user)
    finally:
        redis.config_set("replica-serve-stale-data", "yes")
        redis.replicaof("NO", "ONE")
    await add(storage, a_user())


async def test_a_server_that_lacks_replicas_is_unavailable_to_commits(storage: Storage, redis: Any) -> None:
    redis.config_set("min-replicas-to-write", 1)
    try:
        with pytest.raises(StorageUnavailable, match="too few replicas"):
            await add(storage, a_user())
    finally:
        redis.config_set("min-replicas-to-write", 0)
    await add(storage, a_user())


async def test_a_server_with_too_many_clients_is_too_busy(url: str, redis: Any) -> None:
    async with connected(url) as newcomer:
        redis.config_set("maxclients", redis.info("clients")["connected_clients"])
        try:
            with pytest.raises(TooBusy):
                await newcomer.ping()
        finally:
            redis.config_set("maxclients", 10_000)
        await newcomer.ping()


async def test_a_server_that_runs_a_long_script_is_too_busy(
    server: ServerProcess, storage: Storage, redis: Any
) -> None:
    redis.config_set("busy-reply-threshold", 1)
    endless = asyncio.create_task(asyncio.to_thread(_run_endless_script, server.url))
    try:
        with pytest.raises(TooBusy):
            await _ping_for_ever(storage)  # until the script runs
    finally:
        redis.script_kill()
        await endless
        redis.config_set("busy-reply-threshold", 5_000)
    await storage.ping()


@pytest.mark.parametrize("wrong", ["userport:wr0ng", "unknown:wr0ng", ""])
async def test_a_wrong_password_is_reported_without_being_repeated(server: ServerProcess, wrong: str) -> None:
    address = f"127.0.0.1:{server.port}"
    async with connected(f"redis://{wrong}@{address}/0") as storage:
        with pytest.raises(StorageUnavailable, match="rejects the user or the password") as raised:
            await storage.ping()
    assert "wr0ng" not in repr(raised.value) + repr(raised.value.__cause__)


async def test_a_database_user_without_a_required_right_is_reported(server: ServerProcess, redis: Any) -> None:
    redis.acl_setuser("reader", enabled=True, passwords=["+pw"], categories=["+@read"], keys=["*"])
    async with connected(f"redis://reader:pw@127.0.0.1:{server.port}/0") as storage:
        with pytest.raises(StorageUnavailable, match="denies"):
            await storage.prepare()


async def test_a_database_that_the_server_does_not_have_is_unavailable(server: ServerProcess) -> None:
    async with connected(f"{server.url}9999") as storage:
        with pytest.raises(StorageUnavailable):
            await storage.ping()


async def test_a_commit_whose_answer_was_lost_is_not_sent_again(url: str, server: ServerProcess) -> None:
    user = a_user()
    async with _line_to(server.port) as line, connected(url.replace(f":{server.port}/", f":{line.port}/")) as storage:
        await storage.prepare()
        line.answers_to_lose = 1
        with pytest.raises(StorageUnavailable):
            await add(storage, user)
        assert await stored_user(storage, user) == user
        line.answers_to_lose = 1
        assert await stored_user(storage, user) == user  # a read is


class _Line:
    """A connection to a server on which responses, and the connection itself, can be lost."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self.port = 0
        self.answers_to_lose = 0

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        questions = asyncio.create_task(_pass_on(reader, server_writer))
        while (answer := await server_reader.read(65_536)) and not self.answers_to_lose:
            writer.write(answer)
        self.answers_to_lose = max(0, self.answers_to_lose - bool(answer))
        writer.close()
        server_writer.close()
        await questions


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while questions := await reader.read(65_536):
        writer.write(questions)
    writer.close()


@asynccontextmanager
async def _line_to(server_port: int) -> AsyncIterator[_Line]:
    line = _Line(server_port)
    async with asyncio.TaskGroup() as connections:

        def connect(*streams: Any) -> None:
            connections.create_task(line.connect(*streams))

        listening = await asyncio.start_server(connect, "127.0.0.1", 0)
        line.port = listening.sockets[0].getsockname()[1]
        yield line
        listening.close()


async def _ping_for_ever(storage: Storage) -> NoReturn:
    while True:
        await storage.ping()


def _run_endless_script(url: str) -> None:
    with client(url) as redis, suppress(ResponseError):  # it is killed
        redis.eval("while true do end", 0)
