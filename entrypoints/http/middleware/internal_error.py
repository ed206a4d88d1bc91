import logging
from collections.abc import Awaitable
from http import HTTPStatus
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.problems import ProblemKind, problem_response

INTERNAL_ERROR: Final = ProblemKind(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal_error",
    "The service failed unexpectedly; its log has the details under this request_id.",
)

_log: Final = logging.getLogger("userport.http")


class InternalErrorMiddleware:
    """Turns an unexpected exception into a 500 that contains only the request id; logs the traceback under that id."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        def send_and_note(message: Message) -> Awaitable[None]:
            nonlocal started
            started = True
            return send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:  # the one place where a bug becomes a response
            if started or scope["type"] != "http":
                raise
            _log.exception("request %s failed", scope["state"]["request_id"])
            await problem_response(scope, *INTERNAL_ERROR)(scope, receive, send)
