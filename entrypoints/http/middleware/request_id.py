import re
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid4

from entrypoints import logs

_VALID_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")


class RequestIdMiddleware:
    """Adds `X-Request-Id` to every response: the request's own if it is 1 to 128 visible ASCII characters, else a UUID.

    Handlers find it in `request.state.request_id`. `count_request` is called once for each request.
    """

    def __init__(self, app: ASGIApp, count_request: Callable[[], object]) -> None:
        self._app = app
        self._count_request = count_request

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        self._count_request()
        request_id = _find(scope) or str(uuid4())
        scope.setdefault("state", {})["request_id"] = request_id
        logs.request_id.set(request_id)

        def send_with_id(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            return send(message)

        return self._app(scope, receive, send_with_id)


def _find(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            return value.decode() if _VALID_ID.fullmatch(value) else None
    return None
