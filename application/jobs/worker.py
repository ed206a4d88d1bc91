import asyncio
import logging
import math
import random
from contextlib import suppress
from time import monotonic
from typing import Final

from application.jobs.queue import JobQueue
from application.jobs.runner import JobRunner, Outcome
from application.jobs.traffic import Traffic
from domain.errors import DomainError
from domain.jobs import Job

_MAX_RUNNING: Final = 32
_SECONDS_TO_FINISH: Final = 10.0
_MIN_PAUSE_SECONDS: Final = 0.005
_MAX_PAUSE_SECONDS: Final = 1.0
_REFILL_SECONDS: Final = 0.1
"""How long a worker with more than half of its slots in use waits for free ones, to claim many jobs in one commit."""
_SETTLE_SECONDS: Final = 0.01
"""How long the outcome of a job waits for those of others, to save many in one commit."""
_MAX_JITTER: Final = 0.2
_MAX_STARTED_WHEN_BUSY: Final = 2
_BUSY_PAUSE_SECONDS: Final = 0.2

_log: Final = logging.getLogger("userport.jobs")


class JobWorker:
    """Runs due jobs, a bounded number at a time, and starts few a second while the process serves many requests.

    It looks for due jobs about once a second. After a job is staged in this process, it first looks every few
    milliseconds, because a storage does not report when the unit of work is committed.
    """

    def __init__(self, runner: JobRunner, queue: JobQueue, traffic: Traffic) -> None:
        self._runner: Final = runner
        self._traffic: Final = traffic
        self._running: Final[set[asyncio.Task[Outcome]]] = set()
        self._unsettled: Final[list[Outcome]] = []
        self._latest_settling = math.inf
        self._wake: Final = asyncio.Event()
        self._is_stopping = False
        self._is_interrupted = False
        self._pause = _MAX_PAUSE_SECONDS
        # Workers that start together look at different times.
        self._next_look = monotonic() + random.uniform(0, _MAX_PAUSE_SECONDS)  # noqa: S311
        self._earliest_look = 0.0
        queue.on_staged = self._look_soon

    async def run(self) -> None:
        """Run jobs until `stop`; wait during storage outages. It cannot be called again."""
        try:
            while not self._is_stopping:
                await self._advance()
                await self._wait()
            await self._finish()
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def stop(self) -> None:
        """Make `run` return once running jobs are done, after at most ten seconds; unfinished ones run again later."""
        self._is_stopping = True
        self._wake.set()

    def _look_soon(self) -> None:
        self._pause = _MIN_PAUSE_SECONDS
        moment = max(self._earliest_look, monotonic() + self._pause)
        if moment < self._next_look:  # otherwise it does not have to wake up for this job
            self._next_look = moment
            self._wake.set()

    @property
    def _room(self) -> int:
        return _MAX_RUNNING - len(self._running) - len(self._unsettled)

    @property
    def _time_to_look(self) -> float:
        return self._next_look if self._room >= _MAX_RUNNING // 2 else self._next_look + _REFILL_SECONDS

    @property
    def _time_to_settle(self) -> float:
        if not self._unsettled:
            return math.inf
        if self._is_interrupted:
            return self._next_look
        return self._latest_settling if self._running else -math.inf

    async def _advance(self) -> None:
        """Settle finished attempts, and claim due jobs if it is time."""
        try:
            if monotonic() >= self._time_to_settle:
                await self._settle()
            if self._room and not self._is_stopping and monotonic() >= self._time_to_look:
                await self._look()
        except Exception as error:  # noqa: BLE001 - the worker survives any error, and logs it
            if not self._is_interrupted:
                reason = error if isinstance(error, DomainError) else f"unexpected failure ({type(error).__name__})"
                _log.warning("background jobs wait: %s", reason)
            self._is_interrupted = True
            self._look_in(_MAX_PAUSE_SECONDS)

    async def _settle(self) -> None:
        outcomes, start = list(self._unsettled), monotonic()  # more jobs may end in the meantime
        await self._runner.settle(outcomes)
        del self._unsettled[: len(outcomes)]
        self._latest_settling = start + _SETTLE_SECONDS if self._unsettled else math.inf

    async def _look(self) -> None:
        is_busy = self._traffic.is_busy()
        claims = await self._runner.claim(min(self._room, _MAX_STARTED_WHEN_BUSY) if is_busy else self._room)
        for job in claims.jobs:
            self._start(job)
        if self._is_interrupted:
            _log.warning("background jobs go on")
            self._is_interrupted = False
        if claims.jobs or claims.may_be_more:
            self._pause = _MIN_PAUSE_SECONDS
        self._look_in(0 if claims.may_be_more and claims.jobs else self._pause)
        if is_busy and claims.jobs:
            self._earliest_look = monotonic() + _BUSY_PAUSE_SECONDS
            self._next_look = max(self._earliest_look, self._next_look)
        self._pause = min(2 * self._pause, _MAX_PAUSE_SECONDS)

    def _start(self, job: Job) -> None:
        task = asyncio.create_task(self._runner.attempt(job))
        task.add_done_callback(self._end)
        self._running.add(task)

    def _end(self, task: asyncio.Task[Outcome]) -> None:
        self._running.discard(task)
        if task.cancelled():
            return
        self._unsettled.append(task.result())
        if len(self._unsettled) == 1:
            self._latest_settling = monotonic() + _SETTLE_SECONDS
            self._wake.set()
        elif not self._running:
            self._wake.set()

    def _look_in(self, seconds: float) -> None:
        self._next_look = monotonic() + seconds * random.uniform(1, 1 + _MAX_JITTER)  # noqa: S311

    async def _wait(self) -> None:
        """Wait until a job is staged, or until it is time to settle or to look."""
        is_looking = self._room and not self._is_stopping
        moment = min(self._time_to_settle, self._time_to_look if is_looking else math.inf)
        with suppress(TimeoutError):
            async with asyncio.timeout(None if moment == math.inf else max(0.0, moment - monotonic())):
                await self._wake.wait()
        self._wake.clear()

    async def _finish(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_SECONDS_TO_FINISH):
                while self._running or self._unsettled:
                    await self._advance()
                    if self._running or self._unsettled:
                        await self._wait()
                return
        _log.warning("%d background jobs were interrupted, and will run again", len(self._running))
