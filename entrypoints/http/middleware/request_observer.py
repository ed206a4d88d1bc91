from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Final, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.logs import log_request

_INTERNAL_SERVER_ERROR: Final = HTTPStatus.INTERNAL_SERVER_ERROR.value

RequestObserver: TypeAlias = Callable[[Scope, str | None, int, float], None]
"""Called at the end of a request with its scope, the template of its route or None, the status and the seconds."""


class RequestObserverMiddleware:
    """Times requests, and reports each one to observers: the access log and the metrics."""

    def __init__(self, app: ASGIApp, observers: Sequence[RequestObserver]) -> None:
        self._app = app
        self._observers = tuple(observers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = _INTERNAL_SERVER_ERROR  # without a response
        begun = perf_counter()

        def send_and_note(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            seconds = perf_counter() - begun
            route = getattr(scope.get("route"), "path_format", None)
            for observe in self._observers:
                observe(scope, route, status, seconds)


def log_access(scope: Scope, route: str | None, status: int, seconds: float) -> None:
    client = scope["client"]
    peer = client[0] if client else None
    log_request(scope["method"], route or "unmatched", status, seconds, scope["state"]["request_id"], peer)
