"""All metrics that a process changes, and their labels."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from adapters.deferred import Deferred
from adapters.metrics.values import Counters, Gauges, Histogram, Histograms, Value, ValueFiles
from application.jobs.runner import Outcome
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy
from domain.jobs import Job

T = TypeVar("T")
Call: TypeAlias = Coroutine[Any, Any, T]
"""A call of a storage operation, not awaited yet."""

UNMATCHED: Final = "unmatched"
OTHER: Final = "OTHER"

_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
_SIGN_INS: Final = ("success", "failure", "throttled", "mfa_required")
_REFRESHES: Final = ("success", "repeated", "reused", "failure")
_JOBS: Final = ("done", "retried", "failed")
_LOOKUPS: Final = ("hit", "miss", "bypass")
_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCH_SIZES: Final = (1, 2, 5, 10, 20, 50, 100)
_METHOD_NOT_ALLOWED: Final = 405


class Operation(Protocol):
    """Awaits a call of one storage operation, and counts and times it.

    The operation is exported from its first call on. A cancelled call has no outcome and is not counted.
    """

    def __call__(self, call: Awaitable[T], /) -> Call[T]: ...


class Metrics:
    """The metrics of one process. Its methods are called by decorators and middleware, on the event loop's thread."""

    def __init__(self, directory: Path) -> None:
        """Write to files in a directory, which `Exposition` reads."""
        self.directory: Final = directory
        files = self._files = ValueFiles(directory)
        self._requests = Counters(
            files, "userport_http_requests_total", "HTTP requests.", ("method", "route", "status")
        )
        self._durations = Histograms(
            files,
            "userport_http_request_duration_seconds",
            "Seconds from the head of a request to the end of its response.",
            ("method", "route"),
            bounds=_SECONDS,
        )
        self._duration_children: dict[tuple[str, str], Histogram] = {}
        self._request_children: dict[tuple[str, str, int], tuple[Value, Histogram]] = {}
        self._operations = Counters(
            files, "userport_storage_operations_total", "Calls of the storage.", ("operation", "outcome")
        )
        self._operation_durations = Histograms(
            files,
            "userport_storage_operation_duration_seconds",
            "Seconds that calls of the storage took, including waits for a connection.",
            ("operation",),
            bounds=_SECONDS,
        )
        self._batch_sizes = Histograms(
            files,
            "userport_storage_batch_size",
            "Concurrent calls of the storage that were served together.",
            ("operation",),
            bounds=_BATCH_SIZES,
        )
        self._batch_children: dict[str, Histogram] = {}
        self._connections = Gauges(
            files, "userport_storage_connections", "Connections to the storage.", ("state",), kind="gauge_livesum"
        )
        self._connection_children: dict[str, Value] = {}
        sign_ins = Counters(files, "userport_sign_ins_total", "Attempts to sign in.", ("outcome",))
        self._sign_ins = {outcome: sign_ins.child(outcome) for outcome in _SIGN_INS}
        refreshes = Counters(files, "userport_refreshes_total", "Refreshes of a session.", ("outcome",))
        self._refreshes = {outcome: refreshes.child(outcome) for outcome in _REFRESHES}
        self._jobs = Counters(files, "userport_jobs_total", "Ended attempts of background jobs.", ("kind", "outcome"))
        self._lookups = Counters(
            files, "userport_cache_lookups_total", "Reads that the cache was asked for.", ("outcome",)
        )
        self._jobs_due = Gauges(
            files, "userport_jobs_due", "Background jobs that wait for a worker.", kind="gauge_livemostrecent"
        )
        self._oldest_due = Gauges(
            files,
            "userport_jobs_oldest_due_seconds",
            "Seconds since the background job that has waited longest became due.",
            kind="gauge_livemostrecent",
        )
        self._job_gauges: tuple[Value, Value] | None = None
        self._calls: list[Deferred[float]] = []
        self._call_children: dict[tuple[str, str], tuple[Value, Histogram]] = {}

    def count_requests(self, method: str, route: str | None, status: int, seconds: Sequence[float]) -> None:
        """Count requests with the template of their route; None if there is none."""
        children = self._request_children.get((method, route or UNMATCHED, status))
        if children is None:
            children = self._children_of_requests(method if method in _METHODS else OTHER, route or UNMATCHED, status)
        _count(children, seconds)

    def operation(self, name: str) -> Operation:
        """Return the instrument for calls of one storage operation."""
        calls = Deferred[float](partial(self._count_calls, name, "ok"))
        self._calls.append(calls)
        add = calls.add

        async def measure(call: Awaitable[T]) -> T:
            begun = perf_counter()
            try:
                result = await call
            except Exception as error:
                self._count_calls(name, _outcome(error), [perf_counter() - begun])
                raise
            add(perf_counter() - begun)
            return result

        return measure

    def flush(self) -> None:
        """Count the calls of the storage that ended within the last milliseconds."""
        for calls in self._calls:
            calls.flush()

    def count_batch(self, operation: str, size: int) -> None:
        """Count a batch of calls that a storage served together."""
        batches = self._batch_children.get(operation)
        if batches is None:
            batches = self._batch_children[operation] = self._batch_sizes.child(operation)
        batches.observe([size])

    def set_connections(self, **states: int) -> None:
        """Set the number of connections to the storage in each state."""
        for state, number in states.items():
            if state not in self._connection_children:
                self._connection_children[state] = self._connections.child(state)
            self._connection_children[state].set(number)

    def count_sign_in(self, outcome: str) -> None:
        self._sign_ins[outcome].add()

    def count_refresh(self, outcome: str) -> None:
        self._refreshes[outcome].add()

    def lookup_counter(self) -> Callable[[str], None]:
        """Return a function that counts a cache lookup: a `hit`, a `miss`, or a `bypass` of the cache."""
        lookups = {outcome: self._lookups.child(outcome) for outcome in _LOOKUPS}
        return lambda outcome: lookups[outcome].add()

    def job_counter(self, kinds: Iterable[str]) -> Callable[[Outcome], None]:
        """Return a function that counts ended attempts of jobs; it takes each committed change of a job."""
        jobs = {(kind, outcome): self._jobs.child(kind, outcome) for kind in kinds for outcome in _JOBS}

        def count(change: Outcome) -> None:
            outcome = _job_outcome(change.job, change.following)
            if outcome is not None:
                key = change.job.kind, outcome
                if key not in jobs:  # of another version
                    key = OTHER, outcome
                if key not in jobs:
                    jobs[key] = self._jobs.child(*key)
                jobs[key].add()

        return count

    def set_due_jobs(self, number: int, oldest_seconds: float) -> None:
        if self._job_gauges is None:  # one of several processes sets them
            self._job_gauges = self._jobs_due.child(), self._oldest_due.child()
        due, oldest = self._job_gauges
        due.set(number)
        oldest.set(oldest_seconds)

    def close(self) -> None:
        """Close the files, which keep their values."""
        self.flush()
        self._files.close()

    def _count_calls(self, operation: str, outcome: str, seconds: Sequence[float]) -> None:
        children = self._call_children.get((operation, outcome))
        if children is None:
            children = self._operations.child(operation, outcome), self._operation_durations.child(operation)
            self._call_children[operation, outcome] = children
        _count(children, seconds)

    def _children_of_requests(self, method: str, route: str, status: int) -> tuple[Value, Histogram]:
        if status == _METHOD_NOT_ALLOWED:  # so that there are no more series than routes have methods
            route = UNMATCHED
        key = method, route, status
        if key not in self._request_children:
            durations = self._duration_children.get((method, route))
            if durations is None:
                durations = self._duration_children[method, route] = self._durations.child(method, route)
            self._request_children[key] = self._requests.child(method, route, str(status)), durations
        return self._request_children[key]


def _count(children: tuple[Value, Histogram], seconds: Sequence[float]) -> None:
    number, durations = children
    number.add(len(seconds))
    durations.observe(seconds)


def _job_outcome(before: Job, after: Job | None) -> str | None:
    if before.failed:  # an operator restarts it, or its retention has ended
        return None
    if after is None:
        return "done"
    if after.failed:
        return "failed"
    return "retried" if after.attempts == before.attempts else None  # a claim begins an attempt


def _outcome(error: Exception) -> str:
    if isinstance(error, TooBusy):
        return "busy"
    if isinstance(error, StorageUnavailable | StorageNotPrepared) or not isinstance(error, DomainError):
        return "unavailable"
    return "conflict"
