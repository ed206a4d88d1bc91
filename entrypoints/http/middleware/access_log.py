from collections.abc import Awaitable
from http import HTTPStatus
from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.logs import log_request

_UNMATCHED: Final = "unmatched"


class AccessLogMiddleware:
    """Logs one line per request, without its path, query, headers or body: they may identify or authenticate users."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value  # without a response
        begun = perf_counter()

        def send_and_note(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            duration = round(1000 * (perf_counter() - begun), 3)
            route = getattr(scope.get("route"), "path_format", _UNMATCHED)
            log_request(
                {
                    "method": scope["method"],
                    "route": route,
                    "status": status,
                    "duration_ms": duration,
                    "request_id": scope["state"]["request_id"],
                    "peer": scope["client"][0] if scope["client"] else None,
                }
            )
