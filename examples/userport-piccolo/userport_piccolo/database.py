import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeVar, cast

import asyncpg
from adapters.resilience import Backoff, ConnectionLimiter, is_raised_by
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy
from piccolo.engine.postgres import PostgresEngine, PostgresTransaction

T = TypeVar("T")

_MAX_CONNECTIONS: Final = 10
_RETRY_SECONDS: Final = 5
_LIMITS: Final = {"timeout": 10, "command_timeout": 10, "min_size": 0, "max_size": _MAX_CONNECTIONS}
_current: Final[ContextVar["_Engine"]] = ContextVar("the engine of the storage that runs a query")


class Conflict(TooBusy):
    """The transaction was rolled back because of another one, and can be repeated."""


class _CurrentEngine:
    """Stands for the current engine, since Piccolo binds a table to one engine for good."""

    engine_type = "postgres"

    def __getattr__(self, name: str) -> Any:
        return getattr(_current.get(), name)


CURRENT_ENGINE: Final = cast("PostgresEngine", _CurrentEngine())


class Database:
    """Runs queries on an engine of its own, so that a process can have several databases."""

    def __init__(self, **address: object) -> None:
        self.limiter: Final = ConnectionLimiter(_MAX_CONNECTIONS, timeout_seconds=10)
        self._engine: Final = _Engine(address)
        self._tasks: Final = set[asyncio.Task[Any]]()
        self._closed = False

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` in a task of its own. Cancelling the caller does not stop it."""
        task = asyncio.create_task(self._run(work))
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def transact(self, steps: Sequence[Callable[[], Awaitable[object]]]) -> None:
        """Take steps in a transaction, again if another one gets in its way."""

        async def attempt() -> None:
            async with self._engine.transaction():
                for step in steps:
                    await step()

        backoff = Backoff(0.2, _RETRY_SECONDS)
        while True:
            try:
                return await self.run(attempt)
            except Conflict:
                await backoff.pause()

    async def close(self) -> None:
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._engine.pool:
            await self._engine.close_connection_pool()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        task.exception()  # it is retrieved, even if the caller was cancelled

    async def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        _current.set(self._engine)
        async with self.limiter:
            if self._closed:
                raise StorageUnavailable
            try:
                if not self._engine.pool:
                    await self._engine.start_connection_pool(**_LIMITS)  # connects to nothing yet
                return await work()
            except DomainError:
                raise
            except Exception as error:
                meaning = _meaning(error)
                if meaning is None:
                    raise
                raise meaning from error


class _Engine(PostgresEngine):
    pool: Any

    async def check_version(self) -> None:
        """Do nothing; Piccolo would connect as soon as an engine is made."""

    async def prep_database(self) -> None:
        """Do nothing, as above."""

    def transaction(self, allow_nested: bool = True) -> PostgresTransaction:
        return _Transaction(self, allow_nested)

    async def _run_in_pool(self, query: str, args: Sequence[Any] | None = None) -> Any:
        connection = await self.pool.acquire()
        try:
            return await connection.fetch(query, *(args or ()))
        except Exception as error:
            _end_if_lost(connection, error)
            raise
        finally:
            await self.pool.release(connection)


class _Transaction(PostgresTransaction):
    """Releases its connection after any failure; Piccolo keeps it if BEGIN, COMMIT or ROLLBACK does."""

    engine: "_Engine"
    connection: Any = None

    async def __aenter__(self) -> PostgresTransaction:
        try:
            return await super().__aenter__()
        except BaseException as error:
            await self._release(error)
            raise

    async def __aexit__(self, *raised: Any) -> bool:
        _end_if_lost(self.connection, raised[1])  # rather than wait for an answer to ROLLBACK
        try:
            return await super().__aexit__(*raised)
        except BaseException as error:
            await self._release(error)
            raise

    async def _release(self, error: BaseException) -> None:
        if self.connection is not None:
            _end_if_lost(self.connection, error)
            await self.engine.pool.release(self.connection)


def _end_if_lost(connection: Any, error: BaseException | None) -> None:
    if isinstance(error, Exception) and _is_lost(error):
        connection.terminate()  # a silent server would keep it from its pool


def _is_lost(error: Exception) -> bool:
    """Return whether an error is of the connection, rather than an answer of PostgreSQL."""
    if isinstance(error, DomainError) or hasattr(error, "sqlstate"):
        return False
    return isinstance(error, OSError | asyncpg.InterfaceError) or is_raised_by(error, "asyncpg")


def _meaning(error: Exception) -> DomainError | None:
    """Return what an error means, unless it is a violated constraint or a mistake of this package."""
    match str(getattr(error, "sqlstate", "") or "")[:2]:
        case "":  # no server, or one that asyncpg does not understand
            return StorageUnavailable() if _is_lost(error) else None
        case "40" | "55":  # a deadlock, a lock
            return Conflict()
        case "53":
            return TooBusy()
        case "08" | "25" | "28" | "3D" | "57" | "58" | "XX":
            return StorageUnavailable()
    return StorageNotPrepared() if isinstance(error, asyncpg.UndefinedTableError) else None
