"""Report ended requests to the metrics and the access log."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from adapters.deferred import Deferred
from entrypoints.logs import EndedRequest, log_requests, written_before_records
from entrypoints.settings import Settings

if TYPE_CHECKING:
    from adapters.metrics.metrics import Metrics

RequestCounter: TypeAlias = Callable[[str, str | None, int, Sequence[float]], None]
"""Takes the method of some requests, the template of their route or None, the status, and the seconds of each."""


class EndedRequests:
    """Reports requests that ended within some milliseconds together, which takes a fraction of the time."""

    def __init__(self, count_requests: RequestCounter | None, *, access_log: bool) -> None:
        self._count_requests: Final = count_requests
        self._access_log: Final = access_log
        requests = Deferred[EndedRequest](self._report)
        self.add: Final = requests.add
        self.flush: Final = requests.flush
        if access_log:
            written_before_records.add(self)

    def _report(self, requests: Sequence[EndedRequest]) -> None:
        if self._count_requests is not None:
            seconds: defaultdict[tuple[str, str | None, int], list[float]] = defaultdict(list)
            for method, route, status, begun, ended, _, _, _ in requests:
                seconds[method, route, status].append(ended - begun)
            for kind in seconds:
                self._count_requests(*kind, seconds[kind])
        if self._access_log:
            log_requests(requests)


def open_ended_requests(settings: Settings, metrics: "Metrics | None") -> EndedRequests | None:
    """Return what reports the requests of a process; None if they are neither counted nor logged."""
    if metrics is None and not settings.access_log:
        return None
    return EndedRequests(None if metrics is None else metrics.count_requests, access_log=settings.access_log)
