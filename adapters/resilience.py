"""Limits and retries, shared by all adapters."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import Context
from traceback import walk_tb
from typing import Any, Final, TypeVar

from domain.errors import TooBusy

T = TypeVar("T")

_OWN_PACKAGES: Final = {"adapters", "domain"}
_FIRST_PAUSE_SECONDS: Final = 0.01
_QUEUE_TIMEOUT_SECONDS: Final = 5


class ConnectionLimiter:
    """A fair queue for a bounded number of connections; use it as a context manager around one."""

    def __init__(self, size: int, timeout_seconds: float = _QUEUE_TIMEOUT_SECONDS) -> None:
        self._semaphore: Final = asyncio.Semaphore(size)
        self._timeout_seconds: Final = timeout_seconds
        self.in_use = 0

    async def acquire(self) -> None:
        """Wait until a connection is free. Raise `TooBusy` on a timeout."""
        if self._semaphore.locked():
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    await self._semaphore.acquire()
            except TimeoutError:
                raise TooBusy from None
        else:
            await self._semaphore.acquire()
        self.in_use += 1

    def release(self) -> None:
        self.in_use -= 1
        self._semaphore.release()

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(self, *_: object) -> None:
        self.release()


class Backoff:
    """Pauses between attempts: exponential, with full jitter to separate conflicting callers."""

    def __init__(self, max_pause_seconds: float, budget_seconds: float | None = None) -> None:
        """`budget_seconds` is the time after which no further attempt is made."""
        self._max_pause_seconds: Final = max_pause_seconds
        self._deadline: Final = None if budget_seconds is None else asyncio.get_running_loop().time() + budget_seconds
        self._failures = 0

    @property
    def seconds_left(self) -> float:
        """The rest of the budget; negative once it is exceeded."""
        return float("inf") if self._deadline is None else self._deadline - asyncio.get_running_loop().time()

    async def pause(self) -> None:
        """Wait before the next attempt. Raise `TooBusy` when the budget is exceeded."""
        if self.seconds_left < 0:
            raise TooBusy
        self._failures += 1
        max_pause = min(self._max_pause_seconds, _FIRST_PAUSE_SECONDS * 2.0**self._failures)
        await asyncio.sleep(random.uniform(0, max_pause))  # noqa: S311 - nothing is to be kept secret here


class ShieldedTasks:
    """Runs work in tasks that outlive their callers, so that a cancelled caller leaves no transaction open."""

    def __init__(self) -> None:
        self._running: Final = set[asyncio.Task[Any]]()

    def start(self, work: Coroutine[Any, Any, T], context: Context | None = None) -> asyncio.Task[T]:
        task = asyncio.create_task(work, context=context)
        self._running.add(task)
        task.add_done_callback(self._forget)
        return task

    async def run(self, work: Coroutine[Any, Any, T], context: Context | None = None) -> T:
        """Return the result of `work`, which continues if the caller is cancelled."""
        return await asyncio.shield(self.start(work, context))

    async def join(self) -> None:
        """Wait until all running tasks have ended."""
        if self._running:
            await asyncio.wait(self._running)

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # after a cancelled caller, asyncio would log that it was never retrieved


async def gather_bounded(calls: Iterable[Callable[[], Awaitable[T]]], limit: int = 8) -> list[T]:
    """Return the results of the calls, in their order, with up to `limit` calls at a time.

    After a failure no further call starts. The failure is raised once all running calls have ended.
    """
    semaphore = asyncio.Semaphore(limit)
    failures: list[Exception] = []

    async def run(call: Callable[[], Awaitable[T]]) -> T | None:
        async with semaphore:
            if not failures:
                try:
                    return await call()
                except Exception as failure:  # noqa: BLE001 - it is raised below
                    failures.append(failure)
        return None

    results = await asyncio.gather(*map(run, calls))
    if failures:
        raise failures[0]
    return results  # type: ignore[return-value] # None stands for a result only after a failure


def is_raised_by(error: BaseException, *packages: str) -> bool:
    """Return whether these packages raised an exception, rather than our own code around them.

    A driver may raise anything, such as an `IndexError`, for an invalid response. The innermost frame of either the
    driver or userport decides.
    """
    frames = [frame for frame, _ in walk_tb(error.__traceback__)]
    for frame in reversed(frames):
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        if package in packages or package in _OWN_PACKAGES:
            return package in packages
    return False
