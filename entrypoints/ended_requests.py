"""Report ended requests to the metrics and the access log."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from adapters.deferred import Deferred
from entrypoints.logs import EndedRequest, log_requests, written_before_records
from entrypoints.settings import Settings

if TYPE_CHECKING:
    from adapters.metrics.metrics import Metrics

RequestCounter: TypeAlias = Callable[[str, str | None, int, float], None]
"""Takes the method of a request, the template of its route or None, the status and the seconds."""


class EndedRequests:
    """Reports requests that ended within some milliseconds together, which takes a fraction of the time."""

    def __init__(self, count_request: RequestCounter | None, *, access_log: bool) -> None:
        self._count_request: Final = count_request
        self._access_log: Final = access_log
        self._requests: Final = Deferred[EndedRequest](self.flush)
        self.add: Final = self._requests.add
        if access_log:
            written_before_records.add(self)

    def flush(self) -> None:
        """Report all requests that have ended, on the event loop's thread or after its end."""
        requests = self._requests.take()
        count_request = self._count_request
        if count_request is not None:
            for method, route, status, begun, ended, _, _, _ in requests:
                count_request(method, route, status, ended - begun)
        if self._access_log and requests:
            log_requests(requests)


def open_ended_requests(settings: Settings, metrics: "Metrics | None") -> EndedRequests | None:
    """Return what reports the requests of a process; None if they are neither counted nor logged."""
    if metrics is None and not settings.access_log:
        return None
    return EndedRequests(None if metrics is None else metrics.count_request, access_log=settings.access_log)
