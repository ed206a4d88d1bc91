import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from adapters.resilience import ConnectionLimiter
from domain.errors import StorageUnavailable

T = TypeVar("T")


class WorkerThreads:
    """A bounded pool of worker threads. Cancelling a caller does not stop running work."""

    def __init__(self, size: int, *, before_each: Callable[[], None]) -> None:
        """`before_each` is called on the event loop's thread before each piece of work."""
        self._before_each: Final = before_each
        self._limiter: Final = ConnectionLimiter(size)
        self._executor: Final = ThreadPoolExecutor(size, thread_name_prefix="userport-file")

    @property
    def in_use(self) -> int:
        return self._limiter.in_use

    async def run(self, work: Callable[[], T]) -> T:
        """Run blocking work in a thread. Raise `TooBusy` when none becomes free in time."""
        await self._limiter.acquire()
        self._before_each()  # in the worker thread, a system call would release the interpreter lock
        loop = asyncio.get_running_loop()

        def release(_: Future[Any]) -> None:
            loop.call_soon_threadsafe(self._limiter.release)

        try:
            running = self._executor.submit(work)
        except RuntimeError:  # it is closed
            self._limiter.release()
            raise StorageUnavailable from None
        running.add_done_callback(release)
        return await asyncio.wrap_future(running)

    async def close(self) -> None:
        await asyncio.to_thread(self._executor.shutdown)
