import logging
import sys
from collections.abc import Awaitable
from http import HTTPStatus
from time import perf_counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.ended_requests import EndedRequests
from entrypoints.http.problems import ProblemKind, problem_response
from entrypoints.logs import SPANS, span_ids

INTERNAL_ERROR: Final = ProblemKind(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal_error",
    "The service failed unexpectedly; its log has the details under this request_id.",
)

_log: Final = logging.getLogger("userport.http")


class RequestOutcomeMiddleware:
    """Turns an unexpected exception into a 500 that contains only the request id; logs the traceback under that id.

    It also passes each request, when it has ended, to the metrics and the access log. Another middleware for that would
    be one more coroutine and one more wrapper of `send`.
    """

    def __init__(self, app: ASGIApp, *, ended_requests: EndedRequests | None) -> None:
        self._app = app
        self._ended_requests = ended_requests

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
            if self._ended_requests is not None:
                client = scope["client"]
                self._ended_requests.add(
                    (
                        scope["method"],
                        getattr(scope.get("route"), "path_format", None),
                        status or INTERNAL_ERROR.status.value,
                        begun,
                        perf_counter(),
                        scope["state"]["request_id"],
                        client[0] if client else None,
                        span_ids() if SPANS in sys.modules else None,
                    )
                )
