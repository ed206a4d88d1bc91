"""Statements sent to a server from outside of what is being tested."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from sqlalchemy import NullPool, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mariadb": "mariadb+asyncmy",
    "mysql": "mysql+asyncmy",
}


class Unreachable(Exception):
    """The server did not take the connection or the statement."""


def execute(url: str, *statements: str) -> None:
    """Run statements one by one, each in a transaction of its own."""
    query(url, *statements)


def query(url: str, *statements: str) -> Sequence[Sequence[Any]]:
    """Run statements as `execute` does and return the rows of the last one.

    It may be called with or without an event loop around it, so it brings a thread with a loop of its own.
    """
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _query(url, statements)).result()


def delete_all_rows(url: str) -> None:
    """Make a prepared database of userport as good as new."""
    # The foreign keys would take the rest along, but whether they do is one of the things that are tested.
    execute(url, "DELETE FROM credentials", "DELETE FROM posts", "DELETE FROM users")


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
