from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeVar, cast

import asyncpg
from adapters.postgresql_errors import translate_error
from adapters.resilience import Backoff, ConnectionLimiter, ShieldedTasks
from adapters.storage_urls import ServerAddress
from domain.errors import StorageUnavailable, TooBusy
from piccolo.engine.postgres import PostgresEngine

T = TypeVar("T")

_MAX_CONNECTIONS: Final = 10
_RETRY_SECONDS: Final = 5
_LIMITS: Final = {"timeout": 10, "command_timeout": 10, "min_size": 0, "max_size": _MAX_CONNECTIONS}
_current: Final[ContextVar["_Engine"]] = ContextVar("the engine of the storage that runs a query")


class _CurrentEngine:
    """Stands for the current engine, since Piccolo binds a table to one engine for good."""

    engine_type = "postgres"

    def __getattr__(self, name: str) -> Any:
        return getattr(_current.get(), name)


CURRENT_ENGINE: Final = cast("PostgresEngine", _CurrentEngine())


class Database:
    """Runs queries on an engine of its own, so that a process can have several databases."""

    def __init__(self, address: ServerAddress) -> None:
        self.limiter: Final = ConnectionLimiter(_MAX_CONNECTIONS, timeout_seconds=10)
        self._engine: Final = _Engine(address._asdict())
        self._tasks: Final = ShieldedTasks()
        self._closed = False

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` on this engine. Cancelling the caller does not stop it."""
        return await self._tasks.run(self._run(work))

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
            except TooBusy:  # it was rolled back because of another one
                await backoff.pause()

    async def close(self) -> None:
        self._closed = True
        await self._tasks.join()
        if self._engine.pool:
            await self._engine.close_connection_pool()

    async def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        _current.set(self._engine)
        async with self.limiter:
            if self._closed:
                raise StorageUnavailable
            try:
                if not self._engine.pool:  # it connects to nothing yet
                    await self._engine.start_connection_pool(**_LIMITS, connection_class=_Connection)
                return await work()
            except Exception as error:
                translated = translate_error(error)
                if translated is None:
                    raise
                raise translated from error


class _Engine(PostgresEngine):
    async def check_version(self) -> None:
        """Do nothing; Piccolo would connect as soon as an engine is made."""

    async def prep_database(self) -> None:
        """Do nothing, as above."""


class _Connection(asyncpg.Connection):
    """Ends when its server is lost, and so leaves the pool. Piccolo would wait for an answer to ROLLBACK."""

    async def fetch(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().fetch(*args, **options)
        except Exception as error:
            if isinstance(translate_error(error), StorageUnavailable):
                self.terminate()
            raise

    async def execute(self, *args: Any, **options: Any) -> Any:
        """Run a statement as Piccolo runs BEGIN, COMMIT and ROLLBACK; end the connection if it fails, and raise."""
        try:
            return await super().execute(*args, **options)
        except Exception:  # any failure may leave a transaction open on the connection; it is raised again below
            self.terminate()
            raise
