from collections.abc import Awaitable, Callable
from http import HTTPStatus
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class MetricsMiddleware:
    """Counts and times requests.

    `count_request` gets the method, the template of the route or None, the status and the seconds.
    """

    def __init__(self, app: ASGIApp, count_request: Callable[[str, str | None, int, float], None]) -> None:
        self._app = app
        self._count_request = count_request

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
            route = getattr(scope.get("route"), "path_format", None)
            self._count_request(scope["method"], route, status, perf_counter() - begun)
