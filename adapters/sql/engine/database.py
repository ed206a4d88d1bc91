import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Select, Table

from adapters.resilience import Backoff
from adapters.sql.engine.backend import Backend, TransactionCallback
from adapters.sql.engine.statements import BoundStatement, CompiledQuery, Row, Rows
from domain.errors import StorageUnavailable

T = TypeVar("T")

_OPERATION_TIMEOUT_SECONDS: Final = 8  # a driver may take two more seconds to give up on a server that hangs
_MAX_ATTEMPTS: Final = 5
_MAX_PAUSE_SECONDS: Final = 0.1


class BatchObserver:
    """Holds the callback that batchers call with the operation and the size of each batch, if one is set."""

    count: Callable[[str, int], None] | None = None


class Database:
    """Runs statements and transactions, and retries transient failures.

    Every failure is a domain error; any other exception is a bug.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend: Final = backend
        self.batches: Final = BatchObserver()
        self._queries: Final[dict[Select[Any], CompiledQuery]] = {}

    async def fetch(self, statement: Select[Any], parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """Return all rows of a statement. Its compiled form is kept for ever, so do not build one for each call."""
        query, bound = self._bound(statement, parameters or {})
        return query.rows(await self._retried(lambda: self.backend.fetch(bound), _OPERATION_TIMEOUT_SECONDS))

    async def fetch_indexed(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Return the rows of a statement that reads at most some hundred rows through an index."""
        query, bound = self._bound(statement, parameters)
        return query.rows(await self._retried(lambda: self.backend.fetch_indexed(bound), _OPERATION_TIMEOUT_SECONDS))

    async def insert(self, table: Table, rows: Rows) -> None:
        """Insert rows as `Backend.insert` does."""
        try:
            async with asyncio.timeout(_OPERATION_TIMEOUT_SECONDS):
                await self.backend.insert(table, rows)
        except TimeoutError as error:
            raise StorageUnavailable from error

    async def insert_together(self, rows: Mapping[Table, Rows]) -> None:
        """Insert rows into tables, in this order, all or none; repeat it after a conflict."""
        await self._retried(lambda: self.backend.insert_together(rows), _OPERATION_TIMEOUT_SECONDS)

    async def transact(self, callback: TransactionCallback[T]) -> T:
        """Run a callback in a transaction; repeat it after a conflict."""
        return await self._retried(lambda: self.backend.transact(callback), _OPERATION_TIMEOUT_SECONDS)

    async def migrate(self, callback: TransactionCallback[T]) -> T:
        """Run a callback in a transaction without a timeout, while no other process migrates."""
        self.backend.create_file()

        def migrate(connection: Connection) -> T:
            with self.backend.migration_lock(connection):
                return callback(connection)

        return await self._retried(lambda: self.backend.transact(migrate))

    async def close(self) -> None:
        await self.backend.close()

    def _bound(self, statement: Select[Any], parameters: Mapping[str, Any]) -> tuple[CompiledQuery, BoundStatement]:
        query = self._queries.get(statement)
        if query is None:
            query = self._queries[statement] = CompiledQuery(statement, self.backend.dialect)
        return query, query.bind(parameters)

    async def _retried(self, attempt: Callable[[], Awaitable[T]], timeout_seconds: float | None = None) -> T:
        """Retry until success, a permanent failure or the timeout."""
        try:
            async with asyncio.timeout(timeout_seconds):
                backoff: Backoff | None = None
                for attempts_left in reversed(range(_MAX_ATTEMPTS)):
                    try:
                        return await attempt()
                    except Exception as error:
                        if not attempts_left or not self.backend.is_retryable(error):
                            raise
                    backoff = backoff or Backoff(_MAX_PAUSE_SECONDS)
                    await backoff.pause()
        except Exception as error:
            translated = self.backend.translate_error(error)
            if translated is error:
                raise
            raise translated from error
        raise AssertionError("the last attempt returns or raises")
