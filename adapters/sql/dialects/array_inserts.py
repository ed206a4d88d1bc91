"""Inserting any number of rows by one statement of PostgreSQL's, of one text: an array for each column."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Column, String, Table, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert
from sqlalchemy.types import TypeEngine

from adapters.sql.inserts import Rows


@cache
def insert_arrays(table: Table) -> Insert:
    arrays = (bindparam(column.name, type_=ARRAY(_of_any_length(column), dimensions=1)) for column in table.columns)
    return insert(table).from_select([*table.columns], select(*(func.unnest(array) for array in arrays)))


def _of_any_length(column: Column[Any]) -> TypeEngine[Any]:
    """Leave it to the column to refuse a text that is too long; a cast to its type would cut it off."""
    return Text() if isinstance(column.type, String) else column.type


def as_arrays(table: Table, rows: Rows) -> Mapping[str, Sequence[Any]]:
    return {column.name: [row[column.name] for row in rows] for column in table.columns}
