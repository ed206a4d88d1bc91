"""Bounded pools of connections, on which work is done: functions that block, as SQLAlchemy's are."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from sqlalchemy import Connection, Engine, Select
from sqlalchemy.pool import QueuePool

from adapters.sql.driver_statements import Row
from adapters.sql.inserts import Inserts
from domain.errors import StorageUnavailable, TooBusy

T = TypeVar("T")

Work: TypeAlias = Callable[[Connection], T]

_QUEUE_TIMEOUT_SECONDS: Final = 5


class Reader(ABC):
    """What reads by one statement at a time."""

    @property
    @abstractmethod
    def in_use(self) -> int:
        """How many of its connections are checked out at this moment."""

    @abstractmethod
    async def read(self, statement: Select[Any], parameters: Mapping[str, Any] | None) -> Sequence[Row]:
        """Read all rows of a statement; raises `TooBusy` when no connection becomes free in time."""

    @abstractmethod
    async def close(self) -> None: ...


class Turns:
    """A fair queue in front of a pool.

    A pool's own queue would let those who wait sleep on when connecting failed for those before them.
    """

    def __init__(self, most: int) -> None:
        self._free: Final = asyncio.Semaphore(most)

    async def take(self) -> None:
        """Wait for a turn; raises `TooBusy` when there is none in time."""
        try:
            async with asyncio.timeout(_QUEUE_TIMEOUT_SECONDS):
                await self._free.acquire()
        except TimeoutError:
            raise TooBusy from None

    def give_back(self) -> None:
        self._free.release()


class Connections(Reader):
    """A pool, on whose connections any work can be done."""

    engine: Engine

    def __init__(self, most: int) -> None:
        self._turns: Final = Turns(most)

    @property
    def in_use(self) -> int:
        pool = self.engine.pool
        return pool.checkedout() if isinstance(pool, QueuePool) else 0

    @abstractmethod
    async def run(self, work: Work[T]) -> T:
        """Do work on a connection of its own; raises `TooBusy` when none becomes free in time."""

    async def read(self, statement: Select[Any], parameters: Mapping[str, Any] | None) -> Sequence[Row]:
        return await self.run(lambda connection: connection.execute(statement, parameters).all())


class FileConnections(Connections):
    """Connections to a file, each used by a thread; what has begun there comes to its end, whoever waits for it."""

    def __init__(self, engine: Engine, most: int, look: Callable[[], None]) -> None:
        """`look` sees whether the file is still there, before it is used."""
        super().__init__(most)
        self.engine = engine
        self._look: Final = look
        self._threads: Final = ThreadPoolExecutor(most, thread_name_prefix="userport-file")

    async def run(self, work: Work[T]) -> T:
        def do() -> T:
            with self.engine.connect() as connection:
                return work(connection)

        return await self.run_in_thread(do)

    async def run_in_thread(self, work: Callable[[], T]) -> T:
        """Do work on a connection that it takes from the engine itself."""
        await self._turns.take()
        self._look()  # here, since a thread that asks the system loses its turn to run
        loop = asyncio.get_running_loop()

        def release(_: Future[Any]) -> None:
            loop.call_soon_threadsafe(self._turns.give_back)

        try:
            running = self._threads.submit(work)
        except RuntimeError:  # the pool is closed
            self._turns.give_back()
            raise StorageUnavailable from None
        running.add_done_callback(release)
        return await asyncio.wrap_future(running)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        self.engine.dispose()


class Pools(NamedTuple):
    """The connections of a database, by what they are for."""

    writes: Connections
    """Transactions, of which each has its own connection and waits for the others' locks."""

    shared_writes: Connections
    """Transactions of several callers, which hardly wait for a lock."""

    reads: Connections
    """Statements, however long they take."""

    brief_reads: Reader
    """Statements that read few rows, by an index."""

    inserts: Inserts | None = None
    """Additions of several callers, if the driver takes them sooner than by the shared writes."""
