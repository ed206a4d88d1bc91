import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from time import perf_counter
from typing import Final, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.problems import ProblemKind, problem_response
from entrypoints.logs import log_request

INTERNAL_ERROR: Final = ProblemKind(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal_error",
    "The service failed unexpectedly; its log has the details under this request_id.",
)

_log: Final = logging.getLogger("userport.http")

RequestCounter: TypeAlias = Callable[[str, str | None, int, float], None]
"""Takes the method of a request, the template of its route or None, the status and the seconds."""


class RequestOutcomeMiddleware:
    """Turns an unexpected exception into a 500 that contains only the request id; logs the traceback under that id.

    It reports each request when it ends, to the metrics and the access log. Another middleware for that would be one
    more coroutine and one more wrapper of `send`, which take longer than counting and logging.
    """

    def __init__(self, app: ASGIApp, *, count_request: RequestCounter | None, access_log: bool) -> None:
        self._app = app
        self._count_request = count_request
        self._access_log = access_log
        self._reports = access_log or count_request is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status: int | None = None  # of the response, once it has started
        begun = perf_counter()

        def send_and_note(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:  # a bug of any type becomes a 500; it is logged, and raised again if the response has begun
            if status is not None:
                raise
            _log.exception("request %s failed", scope["state"]["request_id"])
            await problem_response(scope, *INTERNAL_ERROR)(scope, receive, send_and_note)
        finally:
            if self._reports:
                seconds = perf_counter() - begun
                status = status or INTERNAL_ERROR.status.value
                route = getattr(scope.get("route"), "path_format", None)
                if self._count_request is not None:
                    self._count_request(scope["method"], route, status, seconds)
                if self._access_log:
                    peer = scope["client"][0] if scope["client"] else None
                    request_id = scope["state"]["request_id"]
                    log_request(scope["method"], route or "unmatched", status, seconds, request_id, peer)
