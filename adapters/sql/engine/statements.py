"""Compile each SQLAlchemy statement once, for direct use with a driver."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import Dialect, Insert, Select, Table, bindparam
from sqlalchemy.sql.compiler import SQLCompiler

from adapters.sql.tables import live_owner, owner_of

Row: TypeAlias = Sequence[Any]
Rows: TypeAlias = Sequence[Mapping[str, Any]]
"""Rows to insert into a table, each with a value for every column."""


class BoundStatement(NamedTuple):
    """The text of a statement, and its arguments in the driver's order."""

    text: str
    arguments: tuple[object, ...]


class CompiledStatement:
    """A compiled statement with at most one list parameter."""

    def __init__(self, statement: Select[Any] | Insert, dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - narrows the type of what is neither DDL nor text
        self._compiled: Final = compiled
        self._list: Final = next((bind.key for bind in compiled.bind_names if bind.expanding), None)
        self._expanded: Final[dict[int, _ExpandedStatement]] = {}

    def bind(self, parameters: Mapping[str, Any]) -> BoundStatement:
        length = 0
        if self._list is not None:
            # Lists are padded with their last value to a power of two: drivers cache only few statement texts.
            values = [*parameters[self._list]]
            length = 1 << (len(values) - 1).bit_length()
            values += values[-1:] * (length - len(values))
            parameters = {**parameters, self._list: values}
        expanded = self._expanded.get(length)
        if expanded is None:
            expanded = self._expanded[length] = _ExpandedStatement(self._compiled, parameters)
        return expanded.bind(parameters)


class _ExpandedStatement:
    """The text of a statement for a list of a certain length."""

    def __init__(self, compiled: SQLCompiler, parameters: Mapping[str, Any]) -> None:
        state = compiled.construct_expanded_state(dict(parameters), escape_names=False)
        self._text: Final = state.statement
        self._defaults: Final = compiled.params
        dialect = compiled.dialect
        processors = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in compiled.binds.items()
        }
        # SQLAlchemy has expanded the list to consecutive items; the first one marks their position.
        first = {items[0]: name for name, items in state.parameter_expansion.items()}
        rest = {item for items in state.parameter_expansion.values() for item in items[1:]}
        names = [first.get(name, name) for name in state.positiontup or () if name not in rest]
        self._arguments: Final = [(name, name in state.parameter_expansion, processors[name]) for name in names]

    def bind(self, parameters: Mapping[str, Any]) -> BoundStatement:
        arguments: list[object] = []
        for name, is_list, process in self._arguments:
            value = parameters[name] if name in parameters else self._defaults[name]
            if is_list:
                arguments += value if process is None else map(process, value)
            else:
                arguments.append(value if process is None else process(value))
        return BoundStatement(self._text, tuple(arguments))


class CompiledQuery(CompiledStatement):
    """A compiled statement that returns rows."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        super().__init__(statement, dialect)
        processors = (
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in statement.selected_columns
        )
        self._processors: Final = [(nth, process) for nth, process in enumerate(processors) if process]

    def rows(self, rows: Iterable[Iterable[Any]]) -> Sequence[Row]:
        """Convert rows of the driver as SQLAlchemy would, but column by column, which is faster."""
        columns: list[Iterable[Any]] = [*zip(*rows, strict=True)]
        if columns:
            for nth, process in self._processors:
                columns[nth] = map(process, columns[nth])
        return [*zip(*columns, strict=True)]


class MultiRowInsert:
    """An `INSERT` of any number of rows, with a parameter for every value."""

    def __init__(self, table: Table, dialect: Dialect, *, checks_owner: bool = True) -> None:
        """With `checks_owner`, rows whose owner is being removed are rejected."""
        values: dict[str, Any] = {column.name: bindparam(column.name, type_=column.type) for column in table.columns}
        owner = owner_of(table) if checks_owner else None
        if owner is not None:
            values[owner.name] = live_owner(values[owner.name])
        compiled = str(table.insert().inline().values(values).compile(dialect=dialect))
        self._head, self._row = compiled.split(" VALUES ", 1)
        self._processors: Final = [
            (column.name, column.type.dialect_impl(dialect).bind_processor(dialect)) for column in table.columns
        ]

    def values(self, rows: Rows) -> Sequence[tuple[object, ...]]:
        """Return the rows as values for the driver."""
        columns = (
            [row[name] for row in rows] if process is None else [process(row[name]) for row in rows]
            for name, process in self._processors
        )
        return [*zip(*columns, strict=True)]

    def bind(self, values: Sequence[tuple[object, ...]]) -> BoundStatement:
        text = f"{self._head} VALUES {', '.join([self._row] * len(values))}"
        return BoundStatement(text, tuple(chain.from_iterable(values)))
