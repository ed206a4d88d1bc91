"""Background work, done after the commit that requests it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Self

from domain.records import RecordType
from domain.values import JobId, truncate_to_milliseconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job waits until `due_at`. A worker claims it by saving it with a later `due_at`, the end of its lease.

    A job runs at least once: after a worker dies, others find the job due again when the lease ends. A failed job
    becomes due when it is to be removed.
    """

    LEASE: ClassVar = timedelta(minutes=1)
    MAX_ATTEMPTS: ClassVar = 10
    MIN_RETRY_PAUSE: ClassVar = timedelta(seconds=10)
    MAX_RETRY_PAUSE: ClassVar = timedelta(hours=1)
    BLOCKED_PAUSE: ClassVar = timedelta(minutes=1)
    FAILED_RETENTION: ClassVar = timedelta(days=30)
    MAX_ERROR_LENGTH: ClassVar = 500

    id: JobId
    kind: str
    payload: Mapping[str, str] = field(repr=False)
    due_at: datetime
    attempts: int
    """How often it was claimed since it became due, except for attempts that were blocked."""
    last_error: str | None
    """Why the last attempt failed, in one line without secrets."""
    failed: bool
    version: int

    @classmethod
    def create(cls, *, id: JobId, kind: str, payload: Mapping[str, str], due_at: datetime) -> Self:  # noqa: A002
        """Return the first state. Only a copy of the storage exports the payload; do not put secrets into it."""
        return cls(
            id=id,
            kind=kind,
            payload=payload,
            due_at=truncate_to_milliseconds(due_at),
            attempts=0,
            last_error=None,
            failed=False,
            version=1,
        )

    @property
    def is_exhausted(self) -> bool:
        return self.attempts >= self.MAX_ATTEMPTS

    def claim(self, now: datetime) -> Self:
        """Return the state in which one worker has the job, for the duration of the lease."""
        return self._next(due_at=now + self.LEASE, attempts=self.attempts + 1)

    def retry(self, error: str, now: datetime, jitter: float) -> Self:
        """Return the state after a failed attempt: due again later, or failed after the last one.

        The pause doubles with each attempt; `jitter`, from 0 to 1, extends it by up to 100 %.
        """
        if self.is_exhausted:
            return self.fail(error, now)
        pause = (1 + jitter) * 2 ** (self.attempts - 1) * self.MIN_RETRY_PAUSE
        return self._next(due_at=now + min(pause, self.MAX_RETRY_PAUSE), last_error=_one_line(error))

    def wait(self, error: str, now: datetime, jitter: float) -> Self:
        """Return the state after an attempt that was blocked: it does not count, so the job is never given up for it.

        `jitter`, from 0 to 1, extends the pause by up to 100 %.
        """
        due_at = now + (1 + jitter) * self.BLOCKED_PAUSE
        return self._next(due_at=due_at, attempts=self.attempts - 1, last_error=_one_line(error))

    def fail(self, error: str, now: datetime) -> Self:
        """Return the state of a job that is not tried again."""
        return self._next(due_at=now + self.FAILED_RETENTION, last_error=_one_line(error), failed=True)

    def restart(self, due_at: datetime) -> Self:
        """Return the state of a job that restarts, with all its attempts."""
        return self._next(due_at=due_at, attempts=0, failed=False)

    def _next(self, *, due_at: datetime, **changes: Any) -> Self:
        return replace(self, due_at=truncate_to_milliseconds(due_at), version=self.version + 1, **changes)


JOBS: Final = RecordType("jobs", Job, key="id", due="due_at")


def _one_line(error: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in error).split())[: Job.MAX_ERROR_LENGTH]
