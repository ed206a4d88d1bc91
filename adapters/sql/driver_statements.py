"""Statements as their drivers take them; all that is the same at each use is done once."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from sqlalchemy import Dialect, Insert, Select

Row: TypeAlias = Sequence[Any]


class DriverStatement:
    """The text of a statement, and its arguments as SQLAlchemy would pass them."""

    def __init__(self, statement: Select[Any] | Insert, dialect: Dialect) -> None:
        self._statement: Final = statement
        self._dialect: Final = dialect
        self._texts: Final[dict[int, str]] = {}
        compiled = statement.compile(dialect=dialect)
        binds = [compiled.binds[name] for name in compiled.positiontup or ()]
        self._binds: Final = [
            (bind.key, bind.type.dialect_impl(dialect).bind_processor(dialect))
            for bind in binds
            if not bind.literal_execute
        ]
        self._list: Final = next((bind.key for bind in binds if bind.expanding), None)

    def text_and_arguments(self, parameters: Mapping[str, Any]) -> tuple[str, Sequence[object]]:
        """Give out what the driver is sent."""
        length = 0
        if self._list is not None:
            # A text serves several lengths of a list, whose last value is repeated, since a driver keeps few texts.
            values = [*parameters[self._list]]
            length = 1 << (len(values) - 1).bit_length()
            values += values[-1:] * (length - len(values))
            parameters = {**parameters, self._list: values}
        arguments: list[object] = []
        for name, process in self._binds:
            value = parameters[name]
            if name == self._list:
                arguments += value if process is None else map(process, value)
            else:
                arguments.append(value if process is None else process(value))
        text = self._texts.get(length)
        if text is None:
            text = self._texts[length] = self._compiled(parameters)
        return text, arguments

    def _compiled(self, parameters: Mapping[str, Any]) -> str:
        # Values have to be there, though only the length of a list is to be seen in the text.
        statement = self._statement.params(parameters) if isinstance(self._statement, Select) else self._statement
        return statement.compile(dialect=self._dialect, compile_kwargs={"render_postcompile": True}).string


class DriverQuery(DriverStatement):
    """One that gives rows, as SQLAlchemy would give them."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        super().__init__(statement, dialect)
        processors = (
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in statement.selected_columns
        )
        self._processors: Final = [(place, process) for place, process in enumerate(processors) if process]

    def rows(self, rows: Iterable[Iterable[Any]]) -> Sequence[Row]:
        return [self._row(row) for row in rows]

    def _row(self, row: Iterable[Any]) -> Row:
        values = [*row]
        for place, process in self._processors:
            values[place] = process(values[place])
        return values
