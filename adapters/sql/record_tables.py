"""Map records to rows of their tables and back, derived from the declaration."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, Generic

from sqlalchemy import BigInteger, Boolean, Column, Table, UniqueConstraint

from adapters.sql.engine.statements import Row
from adapters.sql.tables import USERS, key_of
from adapters.sql.types import ExactText, Id, Json, LongBytes, LongText, UtcTime
from adapters.storage_plugin import RecordTypeNotSupported
from domain.errors import DomainError, EmailTaken, IdTaken, UsernameTaken, UserNotFound
from domain.records import MAX_KEY_BYTES, Field, FieldKind, R, RecordType

_COLUMN_TYPES: Final[Mapping[FieldKind, type]] = {
    FieldKind.TEXT: LongText,
    FieldKind.INTEGER: BigInteger,
    FieldKind.BOOLEAN: Boolean,
    FieldKind.TIME: UtcTime,
    FieldKind.BYTES: LongBytes,
    FieldKind.ENUM: LongText,
    FieldKind.TUPLE: Json,
    FieldKind.MAPPING: Json,
}


class RecordTable(Generic[R]):
    """The table of a record type. Each field is a column of the same name."""

    def __init__(self, record_type: RecordType[R], tables: Mapping[str, Table]) -> None:
        """Raise `RecordTypeNotSupported` when the type has no table, or one that does not match its declaration."""
        if record_type.name not in tables:
            raise RecordTypeNotSupported(
                f"the record type {record_type.name} has no table: declare it in adapters/sql/tables.py"
            )
        self.record_type: Final = record_type
        table = tables[record_type.name]
        self.table: Final = table
        mismatch = next(_mismatches(record_type, table), None)
        if mismatch:
            raise RecordTypeNotSupported(f"the table {table.name} does not match its record type: {mismatch}")
        self.columns: Final[Sequence[Column[Any]]] = [table.c[name] for name in record_type.fields]
        self.owner: Final = None if record_type.owner is None else table.c[record_type.owner]
        self._json_fields: Final = [field for field in record_type.fields.values() if _column_type(field) is Json]

    @cached_property
    def from_row(self) -> Callable[[Row], R]:
        """Return the function that returns the record for a row of `columns`."""
        return _row_function(self.record_type)

    def to_row(self, record: R) -> Mapping[str, Any]:
        """Return a value for each column. Raise `InvalidRecord`."""
        row: dict[str, Any] = self.record_type.to_plain(record)
        for field in self._json_fields:
            row[field.name] = field.to_json(row[field.name])
        return row


def _row_function(record_type: RecordType[R]) -> Callable[[Row], R]:
    """Compile the function that restores a record, as `dataclasses` compiles constructors: it runs for many rows."""
    arguments: list[str] = []
    names: dict[str, Any] = {"entity": record_type.entity}
    for nth, field in enumerate(record_type.fields.values()):
        restore = _restorer(field)
        names[f"restore_{nth}"] = restore
        arguments.append(f"{field.name}=row[{nth}]" if restore is None else f"{field.name}=restore_{nth}(row[{nth}])")
    function: Callable[[Row], R] = eval(f"lambda row: entity({', '.join(arguments)})", names)  # noqa: S307 - our names
    return function


def _restorer(field: Field) -> Callable[[Any], Any] | None:
    """Return the function from a column's value to its field's, or None if they are equal."""
    if _column_type(field) is Json:
        return lambda json: field.from_plain(field.from_json(json))
    if field.type is str or field.kind in {FieldKind.INTEGER, FieldKind.BOOLEAN, FieldKind.TIME}:
        return None
    return field.type if field.kind is FieldKind.TEXT and not field.optional else field.from_plain


def _column_type(field: Field) -> type:
    return _COLUMN_TYPES[field.kind]


def conflict_errors(record_tables: Sequence[RecordTable[Any]]) -> Mapping[str, type[DomainError]]:
    """Return the error for each constraint, by the name that the databases report.

    PostgreSQL and MariaDB report constraints; SQLite reports columns.
    """
    errors: dict[str, type[DomainError]] = {"PRIMARY": IdTaken, "FOREIGN KEY": UserNotFound}
    unique = {USERS: {"email_key": EmailTaken, "username_key": UsernameTaken}}
    unique |= {each.table: dict(each.record_type.unique) for each in record_tables}
    for table, fields in unique.items():
        errors |= {f"{table.name}_pkey": IdTaken, str(key_of(table)): IdTaken}
        for name, error in fields.items():
            errors |= {f"uq_{table.name}_{name}": error, f"{table.name}.{name}": error}
    for each in record_tables:
        if each.owner is not None:
            # An insert writes NULL for an owner who does not exist or is being removed.
            errors |= {f"NULL {each.owner.name}": UserNotFound, f"fk_{each.table.name}_{each.owner.name}": UserNotFound}
    return errors


def _mismatches(record_type: RecordType[Any], table: Table) -> Iterator[str]:
    """Yield the differences between a table and the declaration."""
    compared = {record_type.key, record_type.owner, *record_type.unique}
    if differing := table.c.keys() ^ record_type.fields.keys():
        yield f"it must have a column for each field, and no other one; look at {min(differing)}"
    for column, field in ((table.c[name], field) for name, field in record_type.fields.items() if name in table.c):
        if not _can_keep(column, field, is_compared=field.name in compared):
            yield f"the column {field.name} is of a type that cannot keep every value"
        if column.nullable != field.optional:
            yield f"the column {field.name} must {'' if field.optional else 'not '}be nullable"
    yield from _missing_constraints(record_type, table)


def _missing_constraints(record_type: RecordType[Any], table: Table) -> Iterator[str]:
    if [column.name for column in table.primary_key] != [record_type.key]:
        yield f"{record_type.key} must be its primary key"
    unique = {constraint.name for constraint in table.constraints if isinstance(constraint, UniqueConstraint)}
    if unique != {f"uq_{table.name}_{name}" for name in record_type.unique}:
        yield "exactly the fields that are declared so must be unique, by constraints named uq_table_column"
    references = {(key.parent.name, key.column, key.ondelete) for key in table.foreign_keys}
    if references != ({(record_type.owner, USERS.c.id, "CASCADE")} if record_type.owner else set()):
        yield "exactly the owner must be a foreign key of users.id, ON DELETE CASCADE"
    indexes = {tuple(column.name for column in index.columns) for index in table.indexes}
    for name in {record_type.owner, record_type.due} - {None, record_type.key}:
        if (name, record_type.key) not in indexes:
            yield f"it must have an index of {name}, {record_type.key}"


def _can_keep(column: Column[Any], field: Field, *, is_compared: bool) -> bool:
    if not is_compared:
        return isinstance(column.type, _column_type(field))
    if isinstance(column.type, Id):
        return field.type is not str  # it is an id of the domain
    return isinstance(column.type, ExactText) and column.type.length >= MAX_KEY_BYTES
