"""Bounded pools of connections, on which work is done: functions that block, as SQLAlchemy's are."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from domain.errors import StorageUnavailable, TooBusy

T = TypeVar("T")

Work: TypeAlias = Callable[[Connection], T]

_QUEUE_TIMEOUT_SECONDS: Final = 5


class Connections(ABC):
    """A pool, with a fair queue in front of it.

    The pool's own queue would let those who wait sleep on when connecting failed for those before them.
    """

    engine: Engine

    def __init__(self, most: int) -> None:
        self._free: Final = asyncio.Semaphore(most)

    @property
    def in_use(self) -> int:
        pool = self.engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    @abstractmethod
    async def run(self, work: Work[T]) -> T:
        """Do work on a connection of its own; raises `TooBusy` when none becomes free in time."""

    @abstractmethod
    async def close(self) -> None: ...

    async def _queue(self) -> None:
        try:
            async with asyncio.timeout(_QUEUE_TIMEOUT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise TooBusy from None


class ServerConnections(Connections):
    """Connections to a server, whose driver lets others go on while it waits."""

    def __init__(self, engine: AsyncEngine, most: int) -> None:
        super().__init__(most)
        self.engine = engine.sync_engine
        self._engine: Final = engine

    async def run(self, work: Work[T]) -> T:
        await self._queue()
        try:
            async with self._engine.connect() as connection:
                return await connection.run_sync(work)
        finally:
            self._free.release()

    async def close(self) -> None:
        await self._engine.dispose()


class FileConnections(Connections):
    """Connections to a file, each used by a thread; what has begun there comes to its end, whoever waits for it."""

    def __init__(self, engine: Engine, most: int) -> None:
        super().__init__(most)
        self.engine = engine
        self._threads: Final = ThreadPoolExecutor(most, thread_name_prefix="userport-file")

    async def run(self, work: Work[T]) -> T:
        await self._queue()
        loop = asyncio.get_running_loop()

        def release(_: Future[Any]) -> None:
            loop.call_soon_threadsafe(self._free.release)

        try:
            running = self._threads.submit(self._do, work)
        except RuntimeError:  # the pool is closed
            self._free.release()
            raise StorageUnavailable from None
        running.add_done_callback(release)
        return await asyncio.wrap_future(running)

    def _do(self, work: Work[T]) -> T:
        with self.engine.connect() as connection:
            return work(connection)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        self.engine.dispose()


class OwnThreadConnections(Connections):
    """One connection to a file, used by the thread of the event loop itself.

    That is for reads which are over sooner than a thread would have begun them. If they would have to wait for a lock,
    `patient` does them.
    """

    def __init__(self, engine: Engine, patient: Connections) -> None:
        super().__init__(1)
        self.engine = engine
        self._patient: Final = patient
        self._connection: Connection | None = None
        self._closed = False

    @property
    def in_use(self) -> int:
        return 0  # whoever asks does not ask during a read

    async def run(self, work: Work[T]) -> T:
        if self._closed:
            raise StorageUnavailable
        try:
            if self._connection is None:
                self._connection = self.engine.connect()  # for good: taking it anew would cost as much as a read
            return work(self._connection)
        except Exception as error:
            self._give_up()
            if not isinstance(error, OperationalError) or "locked" not in str(error.orig):
                raise
        return await self._patient.run(work)

    async def close(self) -> None:
        self._closed = True
        self._give_up()
        self.engine.dispose()

    def _give_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Pools(NamedTuple):
    """The connections of a database, by what they are for."""

    writes: Connections
    """Transactions, of which each has its own connection and waits for the others' locks."""

    shared_writes: Connections
    """Transactions of several callers, which hardly wait for a lock."""

    reads: Connections
    """One statement at a time, however long it takes."""

    brief_reads: Connections
    """One statement at a time that reads few rows, by an index."""
