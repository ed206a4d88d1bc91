import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import URL, Connection, Select, Table
from sqlalchemy.exc import DBAPIError

from adapters.sql.connections import Connections, Reader, Work
from adapters.sql.dialects.dialect import Dialect
from adapters.sql.driver_statements import Row
from adapters.sql.inserts import Rows
from domain.errors import DomainError, StorageUnavailable

T = TypeVar("T")

READ_PATIENCE: Final = 0.02
"""The seconds that those who gather for a read wait at most for the one before."""

_OPERATION_TIMEOUT_SECONDS: Final = 8  # giving up on a server that hangs can take a driver two more
_MOST_ATTEMPTS: Final = 5


class Database:
    """Bounded pools of connections: some that read, each statement by itself, and some that write in transactions.

    Every failure comes out as a domain error, but those of `insert_together`.
    """

    def __init__(self, url: URL, dialect: Dialect, conflicts: Mapping[str, type[DomainError]]) -> None:
        """`conflicts` has the error for each constraint, by the names that databases give it."""
        self.dialect = dialect
        self._conflicts: Final = conflicts
        self._url = url
        self._pools = dialect.connect(url)
        self._all = {pool for pool in self._pools if pool is not None}

    @property
    def connections_in_use(self) -> int:
        return sum(pool.in_use for pool in self._all)

    async def rows(self, statement: Select[Any], parameters: Mapping[str, Any] | None = None) -> Sequence[Row]:
        """Read all rows of one statement."""
        return await self._read(self._pools.reads, statement, parameters)

    async def few_rows(self, statement: Select[Any], parameters: Mapping[str, Any]) -> Sequence[Row]:
        """Read some hundred rows at most, of one statement that finds them by an index."""
        return await self._read(self._pools.brief_reads, statement, parameters)

    async def write(self, work: Work[T]) -> T:
        """Do `work` in a transaction, and again when it lost to another one before the commit."""
        return await self._commit(self._pools.writes, work)

    async def write_together(self, work: Work[T]) -> T:
        """Do what `write` does, but where rows are locked hardly wait for those of somebody else; raises `TooBusy`."""
        return await self._commit(self._pools.shared_writes, work)

    async def insert_together(self, table: Table, rows: Rows) -> None:
        """Insert rows as `write_together` would; raises what `Inserts.insert` does."""
        if self._pools.inserts is None:
            await self.write_together(self.dialect.insertion(table, rows))
            return
        try:
            async with asyncio.timeout(_OPERATION_TIMEOUT_SECONDS):
                await self._pools.inserts.insert(table, rows)
        except TimeoutError as error:
            raise StorageUnavailable from error

    async def _commit(self, pool: Connections, work: Work[T]) -> T:
        def commit(connection: Connection) -> T:
            connection.begin()
            result = work(connection)
            try:
                connection.commit()
            except DBAPIError as error:  # not to be repeated: it may have been applied
                raise StorageUnavailable from error
            return result

        return await self._repeated(lambda: pool.run(commit), _OPERATION_TIMEOUT_SECONDS)

    async def migrate(self, work: Work[T]) -> T:
        """Do `work` in a transaction, however long it takes, while no other process migrates."""

        self.dialect.make_place(self._url)

        def migrate(connection: Connection) -> T:
            with connection.begin(), self.dialect.migration_lock(connection):
                return work(connection)

        return await self._repeated(lambda: self._pools.writes.run(migrate))

    async def close(self) -> None:
        for pool in self._all:
            await pool.close()

    async def _read(self, pool: Reader, statement: Select[Any], parameters: Mapping[str, Any] | None) -> Sequence[Row]:
        return await self._repeated(lambda: pool.read(statement, parameters), _OPERATION_TIMEOUT_SECONDS)

    async def _repeated(self, attempt: Callable[[], Awaitable[T]], seconds: float | None = None) -> T:
        """Attempt until it succeeds, fails for good or takes too long, and translate how it failed."""
        try:
            async with asyncio.timeout(seconds):
                for failures in range(_MOST_ATTEMPTS):
                    try:
                        return await attempt()
                    except DBAPIError as error:
                        # That a connection has died in its pool is no reason to fail: all of them are replaced now.
                        worthwhile = error.connection_invalidated or self.dialect.may_be_repeated(error)
                        if not worthwhile or failures == _MOST_ATTEMPTS - 1:
                            raise
                    # Rivals part by chance; nothing is to be kept secret here.
                    await asyncio.sleep(random.uniform(0, 0.02 * (failures + 1)))  # noqa: S311
        except DBAPIError as error:
            raise self._translated(error) from error
        except OSError as error:  # also a TimeoutError, and what asyncpg raises when it cannot connect
            raise StorageUnavailable from error
        raise AssertionError("the last attempt returns or raises")

    def _translated(self, error: DBAPIError) -> Exception:
        meaning = self.dialect.meaning(error)
        if isinstance(meaning, str):
            return self._conflicts[meaning]() if meaning in self._conflicts else error
        return meaning or error
