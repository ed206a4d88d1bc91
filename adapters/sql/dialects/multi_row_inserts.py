"""Inserting many rows by few statements of SQLite's."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

from sqlalchemy import Table
from sqlalchemy.dialects.sqlite import dialect

from adapters.sql.inserts import Rows
from adapters.sql.tables import USERS, owner_of
from adapters.sql.types import Processor, UtcTime

_ROWS_A_STATEMENT: Final = (1_000, 500, 100)  # and what is left, so that there are not too many texts to keep
_DIALECT: Final = dialect()


def insert_statements(table: Table, rows: Rows) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Make statements of many rows each: the driver lets other threads run during each, and then waits for its turn."""
    done = 0
    while left := len(rows) - done:
        taken = next((size for size in _ROWS_A_STATEMENT if size <= left), left)
        yield _insert_statement(table, rows[done : done + taken])
        done += taken


def _insert_statement(table: Table, rows: Rows) -> tuple[str, tuple[object, ...]]:
    """Make one statement of all rows, and its arguments."""
    columns = [
        _driver_values([row[name] for row in rows], process, are_times)
        for name, process, are_times in _processors(table)
    ]
    return _text(table, len(rows)), tuple(chain.from_iterable(zip(*columns, strict=True)))


@cache
def _text(table: Table, rows: int) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    owner = owner_of(table)
    live_owner = f"(SELECT id FROM {USERS.name} WHERE id = ? AND {USERS.c.email_key.name} IS NOT NULL)"  # noqa: S608
    row = f"({', '.join(live_owner if column is owner else '?' for column in table.columns)})"
    return f"INSERT INTO {table.name} ({names}) VALUES {', '.join([row] * rows)}"  # noqa: S608 - names of ours


@cache
def _processors(table: Table) -> Sequence[tuple[str, Processor | None, bool]]:
    """Tell, column by column, what makes a driver's value of ours, and whether it is a time."""
    types = ((column.name, column.type) for column in table.columns)
    return [
        (name, type_.dialect_impl(_DIALECT).bind_processor(_DIALECT), isinstance(type_, UtcTime))
        for name, type_ in types
    ]


def _driver_values(values: Sequence[Any], process: Processor | None, are_times: bool) -> Sequence[object]:
    if process is None:
        return values
    if are_times:  # often the same in many rows, and dear to write down
        written = {value: process(value) for value in set(values)}
        return [written[value] for value in values]
    return [*map(process, values)]
