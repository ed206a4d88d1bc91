"""Redis with Sentinels: the whole contract, and the effects of losing the master."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import ClassVar

import pytest

from adapters.storage_contract.examples import a_full_user, a_post, a_user
from adapters.storage_contract.lifecycle import LifecycleCases
from adapters.storage_contract.network import WrongServerCases
from adapters.storage_contract.steps import add, read_all, stored_user
from domain.errors import StorageUnavailable, TooBusy
from domain.storage import Storage
from domain.user import User
from entrypoints.storage_by_url import open_storage
from tests.cli.commands import userport
from tests.servers.choice import Kind, give_up
from tests.servers.databases import Databases
from tests.servers.process import wait_until
from tests.servers.redis import KIND
from tests.servers.redis_sentinel import MASTER_NAME, RedisWithSentinels, SentinelledRedis
from tests.storage.database_contract import DatabaseStorageContract, connected, connections_in_use
from tests.storage.failovers import added_at_last


@pytest.fixture(scope="module")
def servers() -> Iterator[RedisWithSentinels]:
    programs = KIND.find_programs()
    if programs is None:
        give_up("redis", KIND.how_to_get_it)
    with RedisWithSentinels(programs) as servers:
        yield servers


class TestRedisSentinelStorage(DatabaseStorageContract, WrongServerCases):
    kind: ClassVar[Kind] = "redis"
    quick_groups = (LifecycleCases,)

    @pytest.fixture(scope="class")
    @classmethod
    async def prepared_url(cls, servers: RedisWithSentinels) -> str:
        url = KIND.create(servers.url)
        async with connected(url) as storage:
            await storage.prepare()
        return url

    @pytest.fixture
    async def unprepared_clients(self, servers: RedisWithSentinels) -> AsyncIterator[tuple[Storage, Storage]]:
        url = KIND.create(servers.url)
        async with connected(url) as first, connected(url) as second:
            yield first, second

    @pytest.fixture
    async def unreachable(self, databases: Databases) -> AsyncIterator[Storage]:
        with databases.unreachable("redis") as url:
            address = url.partition("@")[2].partition("/")[0]
            async with connected(f"redis+sentinel://{address}/{MASTER_NAME}") as storage:
                yield storage

    @pytest.fixture
    def open_at(self, prepared_url: str) -> Callable[[int], Storage]:
        return lambda port: open_storage(KIND.moved(prepared_url, port))


async def test_a_name_that_the_sentinels_do_not_know_is_unavailable(servers: RedisWithSentinels) -> None:
    async with connected(servers.url.replace(MASTER_NAME, "another-name")) as storage:
        for call in (storage.prepare, storage.ping, lambda: add(storage, a_user())):
            with pytest.raises(StorageUnavailable, match="Sentinels know no master of the name") as told:
                await call()
            assert "another-name" not in str(told.value)


def test_a_command_ends_with_a_wrong_setting_when_the_sentinels_do_not_know_the_name(
    servers: RedisWithSentinels,
) -> None:
    result = userport("storage", "ping", USERPORT_STORAGE=servers.url.replace(MASTER_NAME, "another-name"))
    assert (result.exit_code, len(result.errors.splitlines())) == (2, 1)
    assert "Sentinels know no master of the name" in result.errors
    assert "another-name" not in result.errors


async def test_a_sentinel_that_is_gone_is_passed_over(servers: RedisWithSentinels) -> None:
    servers.sentinels[0].stop()
    try:
        async with connected(KIND.create(servers.url)) as storage:
            await storage.prepare()
            await add(storage, a_user())
    finally:
        servers.sentinels[0].start()


async def test_a_commit_waits_for_the_replicas_that_the_url_asks_for(servers: RedisWithSentinels) -> None:
    url = KIND.create(servers.url) + "&replicas=2"
    replicas = [server for server in servers.servers if server is not servers.master()]
    async with connected(url) as storage:
        await storage.prepare()
        await add(storage, a_user())
        replicas[0].pause()
        try:
            newcomer = a_user()
            with pytest.raises(StorageUnavailable, match="too few replicas"):
                await add(storage, newcomer)
            unit = storage.unit_of_work()
            unit.users.require(newcomer)  # the master has it, but a failover would undo it
            with pytest.raises(StorageUnavailable, match="too few replicas"):
                await unit.commit()
        finally:
            replicas[0].resume()
        await add(storage, a_user())


@pytest.mark.parametrize(
    ("options", "warnings"), [("", ["in a failover, Redis may lose commits"]), ("&replicas=2", [])]
)
async def test_commits_that_a_failover_may_lose_are_reported(
    servers: RedisWithSentinels, caplog: pytest.LogCaptureFixture, options: str, warnings: Sequence[str]
) -> None:
    with caplog.at_level(logging.WARNING, "userport"):
        async with connected(KIND.create(servers.url) + options) as storage:
            await storage.prepare()
            await storage.ping()
    told = [record.getMessage() for record in caplog.records if record.name == "userport"]
    assert [each.partition(" that")[0] for each in told] == warnings


@pytest.mark.parametrize(
    "fault", [SentinelledRedis.kill, pytest.param(SentinelledRedis.pause, marks=pytest.mark.cluster)]
)
async def test_another_master_takes_over_with_all_that_was_answered(
    servers: RedisWithSentinels, fault: Callable[[SentinelledRedis], None]
) -> None:
    url = KIND.create(servers.url) + "&replicas=2"
    async with connected(url) as storage:
        await storage.prepare()
        kept = a_full_user()
        await add(storage, kept, a_post(kept))
        await asyncio.gather(*(read_all(storage) for _ in range(20)))
        lost = servers.master()
        fault(lost)
        waiting = [asyncio.create_task(_tried(storage)) for _ in range(20)]
        url_of_one = url.replace("&replicas=2", "")
        async with connected(url_of_one) as other:  # one of two replicas is the master now
            newcomer = await added_at_last(other)
            wait_until(lambda: servers.master() is not lost)  # the Sentinels learn it one after the other
            assert await stored_user(other, kept) == kept
            assert await stored_user(storage, kept) == kept
            answered = [user for user in await asyncio.gather(*waiting) if user]
            _bring_back(lost)
            for user in answered:
                assert await stored_user(other, user) == user
            for client in (storage, other):
                assert await stored_user(client, newcomer) == newcomer
                assert connections_in_use(client) == 0
            await added_at_last(storage)


async def _tried(storage: Storage) -> User | None:
    user = a_user()
    with suppress(StorageUnavailable, TooBusy):
        await add(storage, user)
        return user
    return None


def _bring_back(server: SentinelledRedis) -> None:
    server.resume()
    if not server.is_running:
        server.start()
