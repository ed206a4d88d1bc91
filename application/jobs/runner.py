import asyncio
import logging
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from traceback import format_tb
from typing import Final, NamedTuple

from application.ports import Clock, JobBlocked, JobDelayed, JobFailed, JobHandler
from domain.errors import DomainError, StaleVersion
from domain.jobs import JOBS, Job
from domain.storage import Storage

_SETTLING_TIME: Final = timedelta(seconds=10)
"""How long before the end of its lease an attempt ends, so that its outcome is saved in time."""

_CONTENDED_FACTOR: Final = 4

_log: Final = logging.getLogger("userport.jobs")


class Outcome(NamedTuple):
    """The change of a job that results from a claim or an attempt."""

    job: Job
    """The job before."""

    following: Job | None
    """Its next state; None if the job is to be removed."""


class Claims(NamedTuple):
    """The result of `JobRunner.claim`."""

    jobs: Sequence[Job]
    may_be_more: bool
    """Whether more jobs may be due than could be claimed."""


class JobRunner:
    """The steps of running jobs: claim some due jobs, attempt each, settle the outcomes."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        handlers: Mapping[str, JobHandler],
        jitter: Callable[[], float] = random.random,
        on_saved: Callable[[Outcome], None] | None = None,
    ) -> None:
        """`handlers` are looked up by the kind of a job. `on_saved` is called with each change that was committed."""
        self._storage: Final = storage
        self._clock: Final = clock
        self._handlers: Final = handlers
        self._jitter: Final = jitter
        self._on_saved: Final = on_saved
        self._is_contended = False
        self._blocked: Final[dict[str, str]] = {}
        """The reason why the jobs of a kind are blocked."""

    async def claim(self, limit: int) -> Claims:
        """Claim up to `limit` due jobs, and remove failed ones whose retention has ended.

        Competing workers choose at random among more jobs than they claim. Raises what the storage port raises, except
        conflicts.
        """
        window = _CONTENDED_FACTOR * limit if self._is_contended else limit
        due = await self._storage.unit_of_work().records(JOBS).due(self._clock.now(), limit=window)
        chosen = random.sample(due, limit) if len(due) > limit else due
        saved = await self._save([Outcome(job, self._claimed(job)) for job in chosen])
        self._is_contended = len(saved) < len(chosen)
        jobs = [job for job in saved if job is not None and not job.failed]
        return Claims(jobs, may_be_more=len(due) >= limit)

    async def attempt(self, job: Job) -> Outcome:
        """Run a claimed job. Any exception of its handler becomes part of the outcome."""
        try:
            await self._handle(job)
        except JobBlocked as error:
            following = job.wait(str(error), self._clock.now(), self._jitter())
            self._log_blocked(job.kind, following.last_error)
            return Outcome(job, following)
        except JobFailed as error:
            following = job.fail(str(error), self._clock.now())
        except Exception as error:  # noqa: BLE001 - not swallowed: the job and the log tell what happened
            following = job.retry(_reason(error), self._clock.now(), self._jitter())
        else:
            self._log_blocked(job.kind, None)
            return Outcome(job, None)
        fate = "has failed" if following.failed else "will be tried again"
        _log.warning("%s job %s %s: %s (attempt %d)", job.kind, job.id, fate, following.last_error, job.attempts)
        return Outcome(job, following)

    async def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Save the outcomes of attempts, except for jobs that another worker has claimed after their lease ended.

        Raises what the storage port raises, except conflicts. It can then be repeated.
        """
        await self._save(outcomes)

    def _log_blocked(self, kind: str, reason: str | None) -> None:
        """Log that the jobs of a kind are blocked or resumed, once per change: there may be thousands of them."""
        if self._blocked.get(kind) == reason:
            return
        if reason is None:
            del self._blocked[kind]
            _log.warning("%s jobs go on", kind)
        else:
            self._blocked[kind] = reason
            _log.warning("%s jobs wait: %s", kind, reason)

    def _claimed(self, job: Job) -> Job | None:
        if job.failed:
            return None
        now = self._clock.now()
        return job.fail("no attempt came to an end", now) if job.is_exhausted else job.claim(now)

    async def _handle(self, job: Job) -> None:
        handler = self._handlers.get(job.kind)
        if handler is None:
            raise JobDelayed(f"this version of userport has no handler for {job.kind}")
        time_left = job.due_at - self._clock.now() - _SETTLING_TIME
        try:
            async with asyncio.timeout(time_left.total_seconds()) as limit:
                await handler(job)
        except TimeoutError:
            if not limit.expired():
                raise
            raise JobDelayed("it took too long") from None

    async def _save(self, outcomes: Sequence[Outcome]) -> Sequence[Job | None]:
        """Save all together, or one by one if some have changed; return the saved states."""
        if not outcomes:
            return []
        try:
            await self._commit(outcomes)
        except StaleVersion:
            if len(outcomes) == 1:
                return []
            each = await asyncio.gather(*(self._save([outcome]) for outcome in outcomes))
            return [state for saved in each for state in saved]
        return [outcome.following for outcome in outcomes]

    async def _commit(self, outcomes: Sequence[Outcome]) -> None:
        unit = self._storage.unit_of_work()
        jobs = unit.records(JOBS)
        for job, following in outcomes:
            if following is None:
                jobs.remove(job)
            else:
                jobs.save(following)
        await unit.commit()
        if self._on_saved is not None:
            for outcome in outcomes:
                self._on_saved(outcome)


def _reason(error: Exception) -> str:
    """Return one line about a failed attempt. A library's text is omitted: it may contain a secret."""
    if isinstance(error, JobDelayed | DomainError):
        return str(error)
    _log.debug("%s raised at\n%s", type(error).__name__, "".join(format_tb(error.__traceback__)))
    return f"unexpected failure ({type(error).__name__})"
