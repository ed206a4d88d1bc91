"""What a commit can do to the rows of a table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

from sqlalchemy import Column, Connection, Table, Update, bindparam

from adapters.sql.dialects.dialect import Dialect
from domain.errors import StaleVersion

Values: TypeAlias = Mapping[str, Any]


def key_of(table: Table) -> Column[Any]:
    (key,) = table.primary_key
    return key


@dataclass(slots=True)
class Addition:
    """Rows that are not there yet."""

    table: Table
    dialect: Dialect
    rows: list[Values] = field(default_factory=list)

    def work(self) -> "OtherWrite":
        return self.dialect.insertion(self.table, self.rows)


@dataclass(frozen=True, slots=True)
class Save:
    """What changes in a row, with its version, which must be the one before until then."""

    table: Table
    key: str
    changes: Values

    @property
    def version_before(self) -> int:
        return int(self.changes["version"]) - 1

    @property
    def statement(self) -> Update:
        return _update_of(self.table, tuple(self.changes))

    @property
    def parameters(self) -> Values:
        return {**self.changes, "_key": self.key, "_version": self.version_before}

    def __call__(self, connection: Connection) -> None:
        if connection.execute(self.statement, self.parameters).rowcount != 1:
            raise StaleVersion


OtherWrite: TypeAlias = Callable[[Connection], None]
Write: TypeAlias = Addition | Save | OtherWrite


@lru_cache
def _update_of(table: Table, columns: Sequence[str]) -> Update:
    is_it = (key_of(table) == bindparam("_key"), table.c.version == bindparam("_version"))
    return table.update().where(*is_it).values({name: bindparam(name) for name in columns})
