"""What differs from database to database."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from sqlalchemy import URL, Column, ColumnElement, Connection, Dialect, Engine, Table, bindparam
from sqlalchemy.exc import DBAPIError

from adapters.sql.engine.pools import ConnectionLost
from adapters.sql.engine.statements import BoundStatement, Rows
from domain.errors import DomainError, StorageUnavailable

T = TypeVar("T")

TransactionCallback: TypeAlias = Callable[[Connection], T]
"""What happens in a transaction. It blocks, as SQLAlchemy does, and may be called again after a rollback."""

ENGINE_OPTIONS: Final[Mapping[str, Any]] = {"max_overflow": 0, "hide_parameters": True}  # they hold password hashes


CERTIFIES_WRITES: Final = "certifies_writes"
"""In `Connection.info`: whether commits on several nodes are compared by what they write, and locks by none of them."""


class Backend(ABC):
    """One database: its URL, its pools of connections, and the meaning of its errors.

    Statements are sent in two ways. Reads and inserts go to the driver itself; transactions go through SQLAlchemy.
    """

    options: ClassVar[frozenset[str]] = frozenset()
    """What may stand behind the `?` of its URL."""

    engine: Engine
    """For transactions."""

    def __init__(self, url: URL, conflicts: Mapping[str, type[DomainError]]) -> None:
        """Make the pools, without connecting yet.

        `conflicts` has the error for each constraint, by the names that databases give it. Raises `ValueError`, which
        repeats no value of the URL.
        """
        self._conflicts: Final = conflicts

    @property
    def dialect(self) -> Dialect:
        return self.engine.dialect

    @property
    @abstractmethod
    def connections_in_use(self) -> int: ...

    @abstractmethod
    async def fetch(self, statement: BoundStatement) -> Iterable[Iterable[Any]]:
        """Read all rows of one statement, however long it takes."""

    async def fetch_indexed(self, statement: BoundStatement) -> Iterable[Iterable[Any]]:
        """Read some hundred rows at most, of one statement that finds them by an index."""
        return await self.fetch(statement)

    @abstractmethod
    async def insert(self, table: Table, rows: Rows) -> None:
        """Insert up to a thousand rows, all or none, in a transaction of their own.

        Raises:
            TooBusy: nothing was inserted, since a lock or something else was in the way of all rows.
            StorageUnavailable: it is unknown whether the rows were inserted.
            DomainError: nothing was inserted, since a row is refused.
        """

    @abstractmethod
    async def transact(self, callback: TransactionCallback[T]) -> T:
        """Run a callback in a transaction of its own and commit it."""

    @abstractmethod
    async def close(self) -> None: ...

    def create_file(self) -> None:  # noqa: B027 - a server has been set up by its operator
        """Create what the tables will be in, unless it exists."""

    def is_one_of(self, column: Column[Any], parameter: str) -> ColumnElement[bool]:
        """Compare a column with each text in the parameter of that name, which is a list."""
        return column.in_(bindparam(parameter, expanding=True))

    @abstractmethod
    def insertion(self, table: Table, rows: Rows) -> TransactionCallback[None]:
        """Return a callback that inserts rows; whatever needs no connection is done now."""

    @abstractmethod
    def migration_lock(self, connection: Connection) -> AbstractContextManager[None]:
        """Hold back other processes that want to migrate, until the block ends."""

    def is_retryable(self, error: Exception) -> bool:
        """Return whether an error is transient (deadlock, serialization failure, dead connection).

        Nothing was committed then. A dead pooled connection is retryable because all others are replaced with it.
        """
        if isinstance(error, DomainError):
            return False
        if isinstance(error, ConnectionLost) or (isinstance(error, DBAPIError) and error.connection_invalidated):
            return True
        return self._is_transient(self._driver_error(error))

    def translate_error(self, error: Exception) -> Exception:
        """Return the domain error for any error of a driver or of SQLAlchemy; an error that is a bug as it is."""
        if isinstance(error, DomainError):
            return error
        meaning = self._meaning_of(self._driver_error(error))
        if isinstance(meaning, str):
            return self._conflicts[meaning]() if meaning in self._conflicts else error
        if meaning is not None:
            return meaning
        is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
        return StorageUnavailable() if is_lost or isinstance(error, ConnectionLost | OSError) else error

    def _run_transaction(self, connection: Connection, callback: TransactionCallback[T]) -> T:
        connection.begin()
        result = callback(connection)
        try:
            connection.commit()
        except DBAPIError as error:
            if self._is_rolled_back(self._driver_error(error)):
                raise
            raise StorageUnavailable from error  # not to be repeated: it may have been committed
        return result

    def _driver_error(self, error: Exception) -> BaseException:
        """Return what the driver raised, out of what SQLAlchemy made of it."""
        return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error

    @abstractmethod
    def _is_rolled_back(self, error: BaseException) -> bool:
        """Return whether an error at the commit says for certain that nothing was committed."""

    @abstractmethod
    def _is_transient(self, error: BaseException) -> bool:
        """Return whether a driver's error is transient and nothing was committed."""

    @abstractmethod
    def _meaning_of(self, error: BaseException) -> DomainError | str | None:
        """Return what a driver's error means, or the violated constraint; None for any other error."""


def run_statements(statements: Sequence[BoundStatement]) -> TransactionCallback[None]:
    def run(connection: Connection) -> None:
        for text, arguments in statements:
            connection.exec_driver_sql(text, arguments)

    return run
