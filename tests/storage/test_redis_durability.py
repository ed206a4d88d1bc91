import logging
from collections.abc import Iterator, Sequence

import pytest

from domain.errors import StorageUnavailable
from tests.servers.databases import Databases
from tests.servers.process import ServerProcess
from tests.servers.redis import KIND, client
from tests.storage.database_contract import connected


@pytest.fixture(scope="module")
def server(databases: Databases) -> Iterator[ServerProcess]:
    with databases.own_server("redis", durable=True) as server:
        yield server


async def test_a_server_that_loses_nothing_is_not_worth_a_word(
    server: ServerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    assert await _told(server, caplog) == []


async def test_a_server_without_an_append_only_file_is_reported(
    databases: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    with databases.own_server("redis") as server:
        (warning,) = await _told(server, caplog)
    assert "all commits since its last snapshot" in warning


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("appendfsync", "everysec", "the last second of commits"),
        ("appendfsync", "no", "the last commits"),
        ("maxmemory-policy", "allkeys-lru", "removes users when its memory is full"),
    ],
)
async def test_a_setting_that_loses_data_is_reported_once(
    server: ServerProcess, caplog: pytest.LogCaptureFixture, setting: str, value: str, told: str
) -> None:
    with client(server.url) as redis:
        before = redis.config_get(setting)
        redis.config_set(setting, value)
        try:
            (warning,) = await _told(server, caplog)
        finally:
            redis.config_set(setting, next(iter(before.values())))
    assert told in warning


async def test_rights_that_lose_replayed_data_are_reported(
    server: ServerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    with client(server.url) as redis:
        redis.acl_setuser("default", enabled=False, reset=True)
        (warning,) = await _told(server, caplog)
        redis.acl_setuser("default", enabled=False, categories=["+@all"], keys=["*"], channels=["*"])
    assert "may lose all commits at its next start" in warning


async def test_hidden_settings_are_reported_as_unknown(server: ServerProcess, caplog: pytest.LogCaptureFixture) -> None:
    with client(server.url) as redis:
        redis.acl_setuser(
            "guest", enabled=True, passwords=["+pw"], categories=["+@all"], commands=["-config", "-acl"], keys=["*"]
        )
    (warning,) = await _told(server, caplog, login="guest:pw")
    assert "unknown whether a commit survives" in warning


async def test_a_server_that_is_lost_is_not_taken_for_one_that_keeps_its_settings(databases: Databases) -> None:
    with databases.unreachable("redis") as url:
        async with connected(url) as storage:
            with pytest.raises(StorageUnavailable):
                await storage.prepare()


async def _told(server: ServerProcess, caplog: pytest.LogCaptureFixture, login: str | None = None) -> Sequence[str]:
    """Prepare and ping a storage, and return the logged warnings."""
    url = KIND.create(server.url)
    if login:
        url = f"redis://{login}@{url.rpartition('@')[2]}"
    with caplog.at_level(logging.WARNING, "userport"):
        for _ in range(2):
            async with connected(url) as storage:
                await storage.prepare()
                await storage.ping()
    return [record.getMessage() for record in caplog.records if record.name == "userport"]
