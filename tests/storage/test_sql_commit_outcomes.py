"""Errors at a commit: definite rollbacks are conflicts or repeated, and unknown outcomes are never repeated."""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from functools import partial
from typing import Any, Final, TypeAlias, TypeVar

import pytest

from adapters.sql.sqlite.connection import FileConnection
from adapters.storage_contract.examples import a_post, a_user, renamed
from adapters.storage_contract.steps import add, read_all, remove, save
from domain.errors import DomainError, EmailTaken, StorageUnavailable, TooBusy, UserNotFound
from domain.storage import Storage
from domain.user import User
from tests.servers.databases import Databases
from tests.servers.sql import execute, query
from tests.storage.commit_proxy import CommitProxy, commit_proxy
from tests.storage.database_contract import connected

T = TypeVar("T")


async def add_one(storage: Storage) -> None:
    """Commit by the driver itself."""
    await add(storage, a_user())


async def add_with_post(storage: Storage) -> None:
    """Commit a transaction by SQLAlchemy."""
    await added_with_post(storage)


async def added_with_post(storage: Storage) -> User:
    user = a_user()
    await add(storage, user, a_post(user))
    return user


async def add_posts(storage: Storage) -> None:
    """Commit a transaction by the driver itself, where this takes more than one statement."""
    (owner,) = (await read_all(storage)).users
    await add(storage, a_post(owner), a_post(owner))


async def rename(storage: Storage) -> None:
    (user,) = (await read_all(storage)).users
    await save(storage, renamed(user, "Renamed"))


Write: TypeAlias = Callable[[Storage], Awaitable[None]]

WRITES: Final = (add_one, add_with_post)


class TestPostgreSQL:
    """A deferred trigger raises the error, so the server itself reports it at the commit."""

    @pytest.fixture
    def url(self, databases: Databases) -> Iterator[str]:
        with databases.fresh("postgresql") as url:
            yield url

    @pytest.fixture
    async def storage(self, url: str) -> AsyncIterator[Storage]:
        async with connected(url) as storage:
            await storage.prepare()
            yield storage

    @pytest.mark.parametrize("write", WRITES)
    @pytest.mark.parametrize("code", ["40001", "40P01"])
    async def test_a_transient_rollback_is_repeated(self, storage: Storage, url: str, code: str, write: Write) -> None:
        fail_commits(url, code, times=1)
        await write(storage)
        assert len((await read_all(storage)).users) == 1
        assert commits_of(url) == 2

    @pytest.mark.parametrize("write", WRITES)
    @pytest.mark.parametrize(
        ("code", "error"),
        [
            ("40001", TooBusy),
            ("40P01", TooBusy),
            ("55P03", TooBusy),
            ("23505", EmailTaken),
            ("25006", StorageUnavailable),
            ("53100", StorageUnavailable),
        ],
    )
    async def test_a_definite_rollback_is_the_error_that_it_stands_for(
        self,
        storage: Storage,
        url: str,
        code: str,
        error: type[DomainError],
        write: Write,
    ) -> None:
        fail_commits(url, code)
        with pytest.raises(error):
            await write(storage)
        assert (await read_all(storage)).users == []

    @pytest.mark.parametrize("write", WRITES)
    @pytest.mark.parametrize("code", ["40003", "08006", "08007", "57014", "57P01", "58030", "XX000"])
    async def test_an_unknown_outcome_is_not_repeated(
        self, storage: Storage, url: str, code: str, write: Write
    ) -> None:
        fail_commits(url, code)
        with pytest.raises(StorageUnavailable):
            await write(storage)
        assert commits_of(url) == 1


class TestMariaDB:
    """A proxy reports the error for a commit, which the server has made or rolled back."""

    writes: Final = (*WRITES, add_posts)

    @pytest.fixture
    async def proxy_and_storage(self, databases: Databases) -> AsyncIterator[tuple[CommitProxy, Storage]]:
        with databases.fresh("mariadb") as url:
            async with commit_proxy(url) as (proxy, proxied_url):
                async with connected(url) as direct:
                    await direct.prepare()
                async with connected(proxied_url) as storage:
                    await remove(storage, await added_with_post(storage))  # connecting commits, too
                    while query(url, "SELECT id FROM users"):  # noqa: ASYNC110 - a purge commits in the background
                        await asyncio.sleep(0.01)
                    await add(storage, a_user())
                    proxy.seen = 0
                    yield proxy, storage

    @pytest.mark.parametrize("write", writes)
    @pytest.mark.parametrize("code", [1020, 1213, 3101])
    async def test_a_transient_rollback_is_repeated(
        self, proxy_and_storage: tuple[CommitProxy, Storage], code: int, write: Write
    ) -> None:
        proxy, storage = proxy_and_storage
        before = await read_all(storage)
        proxy.code, proxy.failures = code, 1
        await write(storage)
        assert await read_all(storage) != before
        assert proxy.seen == 2

    @pytest.mark.parametrize("write", writes)
    @pytest.mark.parametrize(
        ("code", "error"),
        [
            (1213, TooBusy),
            (1047, StorageUnavailable),
            (1290, StorageUnavailable),
            (1792, StorageUnavailable),
            (3100, StorageUnavailable),
        ],
    )
    async def test_a_definite_rollback_is_the_error_that_it_stands_for(
        self, proxy_and_storage: tuple[CommitProxy, Storage], code: int, error: type[DomainError], write: Write
    ) -> None:
        proxy, storage = proxy_and_storage
        before = await read_all(storage)
        proxy.code, proxy.failures = code, 100
        with pytest.raises(error):
            await write(storage)
        proxy.failures = 0
        assert await read_all(storage) == before

    @pytest.mark.parametrize(
        ("code", "write"),
        [
            *itertools.product((1180, 1317, 1053, 1927, 2013), writes),
            (1205, add_with_post),  # at an insert by itself it is a definite rollback
            (1205, add_posts),
        ],
    )
    async def test_an_unknown_outcome_is_not_repeated(
        self, proxy_and_storage: tuple[CommitProxy, Storage], code: int, write: Write
    ) -> None:
        proxy, storage = proxy_and_storage
        before = await read_all(storage)
        proxy.code, proxy.failures, proxy.commits = code, 1, True
        with pytest.raises(StorageUnavailable):
            await write(storage)
        assert proxy.seen == 1
        assert await read_all(storage) != before


class TestSQLite:
    @pytest.fixture
    def url(self, databases: Databases) -> Iterator[str]:
        with databases.fresh("sqlite") as url:
            yield url

    @pytest.fixture
    async def storage(self, url: str) -> AsyncIterator[Storage]:
        async with connected(url) as storage:
            await storage.prepare()
            yield storage

    @pytest.mark.parametrize("write", WRITES)
    @pytest.mark.parametrize("code", [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED])
    async def test_a_transient_rollback_is_repeated(
        self, storage: Storage, monkeypatch: pytest.MonkeyPatch, code: int, write: Write
    ) -> None:
        commits = fail_sqlite_commit(monkeypatch, code, "database is locked", commits=False)
        await write(storage)
        assert len((await read_all(storage)).users) == 1
        assert len(commits) == 2

    @pytest.mark.parametrize("write", WRITES)
    async def test_a_deferred_constraint_is_the_conflict_that_it_stands_for(
        self, storage: Storage, url: str, write: Write
    ) -> None:
        execute(
            url,
            "CREATE TABLE referring (id BLOB REFERENCES posts (id) DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER refers AFTER INSERT ON users BEGIN INSERT INTO referring VALUES ('nothing'); END",
        )
        with pytest.raises(UserNotFound):
            await write(storage)
        assert (await read_all(storage)).users == []

    @pytest.mark.parametrize("write", [*WRITES, rename])
    @pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL])
    async def test_an_unknown_outcome_is_not_repeated(
        self, storage: Storage, monkeypatch: pytest.MonkeyPatch, code: int, write: Write
    ) -> None:
        await add(storage, a_user())
        before = await read_all(storage)
        commits = fail_sqlite_commit(monkeypatch, code, "disk I/O error", commits=True)
        with pytest.raises(StorageUnavailable):
            await write(storage)
        assert len(commits) == 1
        assert await read_all(storage) != before


def fail_commits(url: str, code: str, times: int = 1_000) -> None:
    """Let the next transactions that write users fail at their commit."""
    execute(
        url,
        "CREATE SEQUENCE commits",
        f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF nextval('commits') <= {times} THEN
                RAISE EXCEPTION USING ERRCODE = '{code}', CONSTRAINT = 'uq_users_email_key';
            END IF;
            RETURN NULL;
        END $$
        """,
        "CREATE CONSTRAINT TRIGGER fails AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION fail()",
    )


def commits_of(url: str) -> int:
    ((number,),) = query(url, "SELECT last_value FROM commits")
    return int(number)


def fail_sqlite_commit(monkeypatch: pytest.MonkeyPatch, code: int, message: str, *, commits: bool) -> list[None]:
    """Let the next commit fail, after it was made or instead; return a list that grows by each commit.

    An insert outside of a transaction is a commit as well.
    """
    seen: list[None] = []
    commit, execute_statement = FileConnection.commit, FileConnection.execute

    def fail_once(operation: Callable[[], T]) -> T:
        seen.append(None)
        done = [operation()] if len(seen) > 1 or commits else []
        if len(seen) == 1:
            error = sqlite3.OperationalError(message)
            error.sqlite_errorcode = code
            raise error
        return done[0]

    def fail_insert(connection: FileConnection, statement: str, *arguments: Any) -> sqlite3.Cursor:
        operation = partial(execute_statement, connection, statement, *arguments)
        is_commit = statement.startswith("INSERT INTO") and not connection.in_transaction
        return fail_once(operation) if is_commit else operation()

    monkeypatch.setattr(FileConnection, "commit", lambda connection: fail_once(partial(commit, connection)))
    monkeypatch.setattr(FileConnection, "execute", fail_insert)
    return seen
