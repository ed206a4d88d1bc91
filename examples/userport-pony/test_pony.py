"""The whole contract, and what it does not cover: processes that share a file, locks, URLs."""

import asyncio
import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from adapters.storage_contract.contract import PersistentStorageContract
from adapters.storage_contract.examples import a_user
from adapters.storage_contract.steps import add, read_all
from domain.errors import TooBusy

from userport_pony import database
from userport_pony.storage import PonyStorage, open_storage


@asynccontextmanager
async def opened(file: Path) -> AsyncIterator[PonyStorage]:
    storage = PonyStorage(file)
    yield storage
    await storage.close()


class TestPonyStorage(PersistentStorageContract):
    @pytest.fixture
    async def storage(self, tmp_path: Path) -> AsyncIterator[PonyStorage]:
        async with opened(tmp_path / "users.db") as storage:
            await storage.prepare()
            yield storage

    @pytest.fixture
    async def another_client(self, storage: PonyStorage, tmp_path: Path) -> AsyncIterator[PonyStorage]:
        async with opened(tmp_path / "users.db") as another:
            yield another

    @pytest.fixture
    async def unprepared_clients(self, tmp_path: Path) -> AsyncIterator[tuple[PonyStorage, PonyStorage]]:
        async with opened(tmp_path / "empty.db") as first, opened(tmp_path / "empty.db") as second:
            yield first, second

    @pytest.fixture
    async def unreachable(self, tmp_path: Path) -> AsyncIterator[PonyStorage]:
        async with opened(tmp_path / "no such folder" / "users.db") as storage:
            yield storage


def test_processes_that_import_the_same_users_add_each_of_them_once(tmp_path: Path) -> None:
    emails = [f"user.{number}@example.org" for number in range(1_500)]
    (tmp_path / "users.csv").write_text("email,name\n" + "".join(f"{email},Somebody\n" for email in emails))
    userport = Path(sys.executable).with_name("userport")
    running = [
        subprocess.Popen(
            [userport, "users", "import", "users.csv", "--storage", "pony:///users.db"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    ends = [(*process.communicate(timeout=60), process.returncode) for process in running]
    added = [int(re.findall(r"(\d+) added", said)[0]) for said, *_ in ends]
    assert sum(added) == len(emails), ends


async def test_a_locked_file_is_busy_until_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "_LOCK_SECONDS", 0.1)
    async with opened(tmp_path / "users.db") as storage:
        await storage.prepare()
        user = a_user()
        with closing(sqlite3.connect(tmp_path / "users.db", isolation_level=None)) as rival:
            rival.execute("BEGIN IMMEDIATE")
            with pytest.raises(TooBusy):
                await add(storage, user)
            assert (await read_all(storage)).users == []
        await add(storage, user)


async def test_a_call_that_waits_too_long_in_the_queue_gets_too_busy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    file = database.Database(tmp_path / "users.db")
    long_one = asyncio.create_task(file.read(lambda _: go_on.wait()))
    await asyncio.sleep(0)  # it is first in the queue now
    monkeypatch.setattr(database, "_MAX_SECONDS", 0.1)
    with pytest.raises(TooBusy):
        await file.read(lambda _: None)
    go_on.set()
    await long_one
    await file.close()


@pytest.mark.parametrize(
    "rest", ["", "/", "secret@host/users.db", "users.db", "/users.db?secret=1", "/users.db#secret"]
)
def test_a_wrong_url_is_refused_and_not_repeated(rest: str) -> None:
    with pytest.raises(ValueError, match=r"^write pony:///") as refused:
        open_storage(f"pony://{rest}")
    assert "secret" not in str(refused.value)


async def test_a_relative_file_lies_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    storage = open_storage("pony:///my%20users.db")
    await storage.prepare()
    await storage.close()
    assert (tmp_path / "my users.db").exists()
