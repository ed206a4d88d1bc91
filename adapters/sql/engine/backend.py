"""The interface of a database backend: everything that differs between databases."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, ClassVar, Final, TypeAlias, TypeVar

from sqlalchemy import URL, Column, ColumnElement, Connection, Dialect, Engine, QueuePool, Table, bindparam
from sqlalchemy.exc import DBAPIError

from adapters.sql.engine.pools import ConnectionLost
from adapters.sql.engine.statements import BoundStatement, Rows
from domain.errors import DomainError, StorageUnavailable

T = TypeVar("T")

TransactionCallback: TypeAlias = Callable[[Connection], T]
"""The body of a transaction. It blocks, as SQLAlchemy does, and may be called again after a rollback."""

ENGINE_OPTIONS: Final[Mapping[str, Any]] = {
    "max_overflow": 0,
    "hide_parameters": True,
}  # hides parameters in errors: they include password hashes


CERTIFIES_WRITES: Final = "certifies_writes"
"""Key in `Connection.info`: whether nodes reject commits that write the same rows, but share no locks."""


class Backend(ABC):
    """One database: its URL, its connection pools, and the translation of its errors.

    Reads and inserts go directly to the driver; transactions go through SQLAlchemy.
    """

    options: ClassVar[frozenset[str]] = frozenset()
    """The options that its URL may have after the `?`."""

    engine: Engine
    """For transactions."""

    def __init__(self, url: URL, conflicts: Mapping[str, type[DomainError]]) -> None:
        """Create the pools, without connecting.

        `conflicts` maps the name of each constraint, as the database reports it, to an error. Raises `ValueError`,
        which repeats no value of the URL.
        """
        self._conflicts: Final = conflicts

    @property
    def dialect(self) -> Dialect:
        return self.engine.dialect

    @property
    @abstractmethod
    def connections_in_use(self) -> int: ...

    @property
    @abstractmethod
    def connections_idle(self) -> int: ...

    @abstractmethod
    async def fetch(self, statement: BoundStatement) -> Iterable[Iterable[Any]]:
        """Return all rows of a statement of any duration."""

    async def fetch_indexed(self, statement: BoundStatement) -> Iterable[Iterable[Any]]:
        """Return the rows of a statement that reads at most some hundred rows through an index."""
        return await self.fetch(statement)

    @abstractmethod
    async def insert(self, table: Table, rows: Rows) -> None:
        """Insert up to 1,000 rows, all or none, in a transaction of their own.

        Raises:
            TooBusy: Nothing was inserted, because of a lock or overload.
            StorageUnavailable: It is unknown whether the rows were inserted.
            DomainError: Nothing was inserted, because a row violates a constraint.
        """

    async def insert_together(self, rows: Mapping[Table, Rows]) -> None:
        """Insert rows into tables, in this order, all or none. Raises as `transact` or `insert` does."""
        insertions = [self.insertion(table, of_table) for table, of_table in rows.items()]
        await self.transact(lambda connection: [insert(connection) for insert in insertions])

    @abstractmethod
    async def transact(self, callback: TransactionCallback[T]) -> T:
        """Run a callback in its own transaction and commit it."""

    @abstractmethod
    async def close(self) -> None: ...

    def create_file(self) -> None:  # noqa: B027 - a server has been set up by its operator
        """Create the database file unless it exists; does nothing for servers."""

    def is_one_of(self, column: Column[Any], parameter: str) -> ColumnElement[bool]:
        """Return the condition that a column equals one of the texts in a list parameter."""
        return column.in_(bindparam(parameter, expanding=True))

    @abstractmethod
    def insertion(self, table: Table, rows: Rows) -> TransactionCallback[None]:
        """Return a callback that inserts rows. Work that needs no connection is done immediately."""

    @abstractmethod
    def migration_lock(self, connection: Connection) -> AbstractContextManager[None]:
        """Block other processes from migrating until the end of the context."""

    def is_retryable(self, error: Exception) -> bool:
        """Return whether an error is transient (deadlock, serialization failure, dead connection).

        Nothing was committed then. A dead pooled connection is retryable because SQLAlchemy invalidates the whole pool.
        """
        if isinstance(error, DomainError):
            return False
        if isinstance(error, ConnectionLost) or (isinstance(error, DBAPIError) and error.connection_invalidated):
            return True
        return self._is_transient(self._driver_error(error))

    def translate_error(self, error: Exception) -> Exception:
        """Return the domain error for an error of a driver or of SQLAlchemy; return any other error unchanged."""
        if isinstance(error, DomainError):
            return error
        classified = self._classify_error(self._driver_error(error))
        if isinstance(classified, str):
            return self._conflicts[classified]() if classified in self._conflicts else error
        if classified is not None:
            return classified
        is_lost = isinstance(error, DBAPIError) and error.connection_invalidated
        return StorageUnavailable() if is_lost or isinstance(error, ConnectionLost | OSError) else error

    def _run_transaction(self, connection: Connection, callback: TransactionCallback[T]) -> T:
        connection.begin()
        result = callback(connection)
        try:
            connection.commit()
        except DBAPIError as error:
            if not self._is_rolled_back(self._driver_error(error)):
                connection.invalidate()
                raise StorageUnavailable from error  # not repeated: the transaction may have been committed
            with suppress(Exception):  # a lost connection
                connection.connection.rollback()  # SQLAlchemy does not, though the database may keep it open
            raise
        return result

    def _driver_error(self, error: Exception) -> BaseException:
        """Return the driver's error inside SQLAlchemy's."""
        return error.orig if isinstance(error, DBAPIError) and error.orig is not None else error

    @abstractmethod
    def _is_rolled_back(self, error: BaseException) -> bool:
        """Return whether an error at the commit is a definite rollback."""

    @abstractmethod
    def _is_transient(self, error: BaseException) -> bool:
        """Return whether a driver's error is transient and nothing was committed."""

    @abstractmethod
    def _classify_error(self, error: BaseException) -> DomainError | str | None:
        """Return the domain error for a driver's error, or the name of a violated constraint; None if unknown."""


def idle_connections(engine: Engine) -> int:
    pool = engine.pool
    return pool.checkedin() if isinstance(pool, QueuePool) else 0


def run_statements(statements: Sequence[BoundStatement]) -> TransactionCallback[None]:
    def run(connection: Connection) -> None:
        for text, arguments in statements:
            connection.exec_driver_sql(text, arguments)

    return run
