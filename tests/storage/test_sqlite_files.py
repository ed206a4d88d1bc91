"""What happens when a served file is moved or replaced, and to deleted data in it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.storage_contract.examples import a_post, a_user
from adapters.storage_contract.steps import add, read_all, remove, save, stored_user
from domain.errors import StorageNotPrepared, StorageUnavailable
from domain.storage import Storage
from domain.values import Bio
from tests.http.records import new_user
from tests.http.service import running
from tests.storage.database_contract import connected

TIMEOUT_SECONDS = 30
AWAY = (StorageNotPrepared, StorageUnavailable)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "users.db"


@pytest.fixture
async def storage(file: Path) -> AsyncIterator[Storage]:
    async with connected(f"sqlite:///{file}") as storage:
        await storage.prepare()
        yield storage


def parts_of(file: Path) -> list[Path]:
    return list(file.parent.glob(f"{file.name}*"))


def move_away(*files: Path) -> Mapping[Path, Path]:
    return {file: file.rename(file.with_name(f"moved-{file.name}")) for file in files}


def move_back(moved: Mapping[Path, Path]) -> None:
    for before, now in moved.items():
        now.rename(before)


@pytest.mark.parametrize("slashes", ["", "/", "//"])
async def test_slashes_before_an_absolute_path_name_no_host(file: Path, slashes: str) -> None:
    async with connected(f"sqlite:///{slashes}{file}") as storage:
        await storage.prepare()
        await storage.ping()
    assert parts_of(file)


@pytest.mark.parametrize("with_its_log", [True, False])
async def test_a_file_that_was_moved_is_away_until_it_is_back(storage: Storage, file: Path, with_its_log: bool) -> None:
    users = [a_user() for _ in range(30)]
    await asyncio.gather(*(add(storage, user) for user in users), *(read_all(storage) for _ in range(20)))
    moved = move_away(*(parts_of(file) if with_its_log else [file]))
    for call in (storage.ping, lambda: add(storage, a_user()), lambda: add(storage, a_user(), a_user())):
        with pytest.raises(AWAY):
            await call()
    for read in (lambda: stored_user(storage, users[0]), storage.unit_of_work().users.count):
        with pytest.raises(AWAY):
            await read()
    move_back(moved)
    await storage.ping()
    users.append(a_user())
    await add(storage, users[-1])
    assert (await read_all(storage)).users == users


async def test_a_file_that_was_deleted_takes_no_writes_until_it_is_prepared_again(storage: Storage, file: Path) -> None:
    await add(storage, a_user())
    for part in parts_of(file):
        part.unlink()
    for call in (storage.ping, lambda: add(storage, a_user())):
        with pytest.raises(StorageNotPrepared):
            await call()
    assert parts_of(file) == []
    await storage.prepare()
    user = a_user()
    await add(storage, user)
    assert (await read_all(storage)).users == [user]


async def test_a_file_that_was_replaced_is_the_one_that_is_served(storage: Storage, file: Path, tmp_path: Path) -> None:
    before, restored, after = a_user(), a_user(), a_user()
    await add(storage, before)
    await read_all(storage)
    backup = tmp_path / "backup" / file.name
    backup.parent.mkdir()
    async with connected(f"sqlite:///{backup}") as other:
        await other.prepare()
        await add(other, restored)
    for part in parts_of(file):
        part.unlink()
    backup.rename(file)
    await storage.ping()
    await add(storage, after)
    assert (await read_all(storage)).users == [restored, after]


async def test_a_service_is_not_ready_while_its_file_is_away(file: Path) -> None:
    async with running(f"sqlite:///{file}") as service, service.connect() as client:
        assert (await client.post("/users", json=new_user())).status_code == 201
        moved = move_away(file)
        assert (await client.get("/health/ready")).status_code == 503
        assert (await client.post("/users", json=new_user())).status_code == 503
        move_back(moved)
        assert (await client.get("/health/ready")).status_code == 200
        assert (await client.post("/users", json=new_user())).status_code == 201


@pytest.mark.slow
async def test_of_a_user_who_was_removed_nothing_is_left_in_the_file_or_its_log(storage: Storage, file: Path) -> None:
    secret = "an unmistakable text"
    user, kept = replace(a_user(), bio=Bio(secret * 20)), replace(a_user(), bio=Bio("the text of another user"))
    with another_process(file):  # otherwise the log would be removed with the last connection
        await add(storage, kept, user, *(a_post(user) for _ in range(30)))
        await save(storage, changed := replace(user, bio=Bio(f"changed, {secret}"), version=user.version + 1))
        assert secret.encode() in content_of(file)
        await remove(storage, changed)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while any(text.encode() in content_of(file) for text in (secret, user.email.address, user.id)):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert kept.bio is not None
        assert kept.bio.encode() in content_of(file)
        assert (await read_all(storage)).users == [kept]


@contextmanager
def another_process(file: Path) -> Iterator[None]:
    connection = sqlite3.connect(file)
    connection.execute("SELECT count(*) FROM users").fetchall()
    try:
        yield
    finally:
        connection.close()


def content_of(file: Path) -> bytes:
    return b"".join(part.read_bytes() for part in parts_of(file))
