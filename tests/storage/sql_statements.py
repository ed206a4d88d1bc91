"""Seeing the statements that are sent."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, Select, Table, event

from adapters.sql.brief_reads import BriefReads
from adapters.sql.database import Database
from adapters.sql.driver_statements import Row
from adapters.sql.inserts import Rows


@contextmanager
def all_by_sqlalchemy() -> Iterator[None]:
    """Let SQLAlchemy, which tells of every statement, send what is otherwise handed to the driver itself."""

    async def read(reads: BriefReads, statement: Select[Any], parameters: Mapping[str, Any] | None) -> Sequence[Row]:
        return await reads.patient.read(statement, parameters)

    async def insert(database: Database, table: Table, rows: Rows) -> None:
        await database.write_together(database.dialect.insertion(table, rows))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BriefReads, "read", read)
        patch.setattr(Database, "insert_together", insert)
        yield


@contextmanager
def counted(name: str) -> Iterator[Callable[[], int]]:
    """Count how often something happens on any connection."""
    count = 0

    def happened(*_: object) -> None:
        nonlocal count
        count += 1

    event.listen(Engine, name, happened)
    try:
        yield lambda: count
    finally:
        event.remove(Engine, name, happened)


@contextmanager
def counted_inserts() -> Iterator[Callable[[], int]]:
    """Count the transactions that do nothing but insert, of which SQLAlchemy need not know."""
    count = 0
    insert = Database.insert_together

    async def insert_and_count(database: Database, table: Table, rows: Rows) -> None:
        nonlocal count
        count += 1
        await insert(database, table, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "insert_together", insert_and_count)
        yield lambda: count
