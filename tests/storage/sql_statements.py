"""Observe sent statements, including the driver's own ones, which SQLAlchemy's events do not show."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, Table, event

from adapters.sql.engine.backend import Backend
from adapters.sql.engine.database import Database
from adapters.sql.engine.server import ServerBackend
from adapters.sql.engine.statements import BoundStatement, Rows
from adapters.sql.sqlite.backend import SQLite


@contextmanager
def observed_reads(observe: Callable[[Backend, BoundStatement], Awaitable[None]]) -> Iterator[None]:
    """Report every read before it is sent."""

    def observed(fetch: Callable[[Any, BoundStatement], Awaitable[Iterable[Iterable[Any]]]]) -> Callable[..., Any]:
        async def observe_and_fetch(backend: Backend, statement: BoundStatement) -> Iterable[Iterable[Any]]:
            await observe(backend, statement)
            return await fetch(backend, statement)

        return observe_and_fetch

    with pytest.MonkeyPatch.context() as patch:
        for backend in (SQLite, ServerBackend):
            patch.setattr(backend, "fetch", observed(backend.fetch))
            patch.setattr(backend, "fetch_indexed", observed(backend.fetch_indexed))
        yield


@contextmanager
def inserts_by_sqlalchemy() -> Iterator[None]:
    """Send inserts through SQLAlchemy's transactions, where its events show them."""

    async def insert(database: Database, table: Table, rows: Rows) -> None:
        await database.transact(database.backend.insertion(table, rows))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "insert", insert)
        patch.setattr(SQLite, "insert_together", Backend.insert_together)
        yield


@contextmanager
def counted_reads() -> Iterator[Callable[[], int]]:
    count = 0

    async def observe(_backend: Backend, _statement: BoundStatement) -> None:
        nonlocal count
        count += 1

    with observed_reads(observe):
        yield lambda: count


@contextmanager
def counted_commits() -> Iterator[Callable[[], int]]:
    """Count the transactions that SQLAlchemy commits, and those of SQLite's driver with several tables."""
    count = 0
    insert = SQLite.insert_together

    def happened(*_: object) -> None:
        nonlocal count
        count += 1

    async def insert_and_count(backend: SQLite, rows: Mapping[Table, Rows]) -> None:
        if len(rows) > 1:
            happened()
        await insert(backend, rows)

    event.listen(Engine, "commit", happened)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(SQLite, "insert_together", insert_and_count)
            yield lambda: count
    finally:
        event.remove(Engine, "commit", happened)


@contextmanager
def counted_inserts() -> Iterator[Callable[[], int]]:
    """Count the transactions that only insert."""
    count = 0
    insert = Database.insert

    async def insert_and_count(database: Database, table: Table, rows: Rows) -> None:
        nonlocal count
        count += 1
        await insert(database, table, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "insert", insert_and_count)
        yield lambda: count
