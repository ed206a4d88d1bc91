"""Seeing the statements that are sent."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, Select, event

from adapters.sql.brief_reads import BriefReads
from adapters.sql.driver_query import Row


@contextmanager
def brief_reads_by_sqlalchemy() -> Iterator[None]:
    """Let SQLAlchemy, which tells of every statement, send what is otherwise handed to the driver itself."""

    async def read(reads: BriefReads, statement: Select[Any], parameters: Mapping[str, Any] | None) -> Sequence[Row]:
        return await reads.patient.read(statement, parameters)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BriefReads, "read", read)
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
