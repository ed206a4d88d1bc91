"""Send statements to a server independently of the adapter."""

import asyncio
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Final
from uuid import uuid4

from sqlalchemy import NullPool, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from tests.servers.kind import ServerKind
from tests.servers.process import ServerProcess, Unreachable

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mariadb": "mariadb+asyncmy",
    "mysql": "mysql+asyncmy",
}


class SqlProcess(ServerProcess):
    def check(self) -> None:
        execute(self.url, "SELECT 1")


class SqlKind(ServerKind):
    """A database is a SQL database."""

    scheme: ClassVar[str]
    always_there: ClassVar = ""
    """The database from which another one can be dropped."""

    drop_options: ClassVar = ""
    product: ClassVar[str]
    version_query: ClassVar = "SELECT version()"

    def create(self, server_url: str) -> str:
        name = f"userport_test_{uuid4().hex}"
        execute(server_url, f"CREATE DATABASE {name}")
        return make_url(server_url).set(database=name).render_as_string(hide_password=False)

    def drop(self, url: str) -> None:
        server_url = make_url(url).set(database=self.always_there).render_as_string(hide_password=False)
        execute(server_url, f"DROP DATABASE {make_url(url).database}{self.drop_options}")

    def empty(self, url: str) -> None:
        delete_all_rows(url)

    def version(self, url: str) -> str:
        ((version,),) = query(url, self.version_query)
        # Build details follow the number, in brackets or after a hyphen.
        return f"{self.product} {re.split('[ -]', version)[0]}"

    def url_on(self, port: int) -> str:
        return f"{self.scheme}://userport:secret@127.0.0.1:{port}/userport"


def execute(url: str, *statements: str) -> None:
    """Run statements one by one, each in a transaction of its own."""
    query(url, *statements)


def query(url: str, *statements: str) -> Sequence[Sequence[Any]]:
    """Run statements as `execute` does and return the rows of the last one.

    Works with and without a running event loop, in a thread with a loop of its own.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _query(url, statements)).result()


def delete_all_rows(url: str) -> None:
    """Reset a prepared userport database to its initial state."""
    # The foreign keys would delete the rest, but whether they do is tested.
    tables = (
        "samples",
        "sign_in_places",
        "pending_sign_ups",
        "one_time_tokens",
        "jobs",
        "secrets",
        "sign_in_failures",
        "sessions",
        "credentials",
        "posts",
        "removed_users",
        "users",
    )
    execute(url, *(f"DELETE FROM {table}" for table in tables))  # noqa: S608 - our own names


async def _query(url: str, statements: Sequence[str]) -> Sequence[Sequence[Any]]:
    address = make_url(url)
    engine = create_async_engine(
        address.set(drivername=_DRIVERS[address.drivername]), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    try:
        async with engine.connect() as connection:
            for statement in statements:
                result = await connection.execute(text(statement))
            return result.all() if result.returns_rows else ()
    except (DBAPIError, OSError, ConnectionError) as error:
        raise Unreachable(str(error)) from error
    finally:
        await engine.dispose()
