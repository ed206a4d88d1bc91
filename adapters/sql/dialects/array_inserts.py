"""Inserting any number of rows by one statement of PostgreSQL's, of one text: an array for each column."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, String, Table, Text, bindparam, func, select
from sqlalchemy import column as sql_column
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.types import TypeEngine

from adapters.sql.inserts import Rows
from adapters.sql.tables import live_owner, owner_of


@cache
def insert_arrays(table: Table) -> Insert:
    arrays = (bindparam(column.name, type_=ARRAY(_of_any_length(column), dimensions=1)) for column in table.columns)
    columns = (sql_column(column.name, _of_any_length(column)) for column in table.columns)
    rows = func.unnest(*arrays).table_valued(*columns).render_derived()
    owner = owner_of(table)
    values = (live_owner(rows.c[column.name]) if column is owner else rows.c[column.name] for column in table.columns)
    return insert(table).from_select([*table.columns], select(*values))


def _of_any_length(column: Column[Any]) -> TypeEngine[Any]:
    """Leave it to the column to refuse a text that is too long; a cast to its type would cut it off."""
    return Text() if isinstance(column.type, String) else column.type


def as_arrays(table: Table, rows: Rows) -> Mapping[str, Sequence[Any]]:
    return {column.name: [row[column.name] for row in rows] for column in table.columns}
