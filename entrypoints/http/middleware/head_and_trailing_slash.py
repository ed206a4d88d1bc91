from collections.abc import Awaitable
from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.problems import http_problem

_ROUTE_KEYS: Final = ("route", "endpoint", "path_params")


class HeadAndTrailingSlashMiddleware:
    """Serves HEAD wherever GET exists, and a path with a trailing slash like the path without it.

    Outer middleware still sees the original method and path, and the matched route.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        path: str = scope["path"] if scope["type"] == "http" else ""
        if scope["type"] == "http" and (scope["method"] == "HEAD" or path[-1:] in ("/", "\n")):
            return self._rewrite(path, scope, receive, send)
        return self._app(scope, receive, send)

    async def _rewrite(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        if len(path) > 1 and path.endswith("/") and not _has_route(scope):
            path = path[:-1]
        if path.endswith("\n"):  # `$` at the end of the framework's patterns ignores it
            response = await http_problem(Request(scope), HTTPException(HTTPStatus.NOT_FOUND))
            await response(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"
        if not is_head and path == scope["path"]:
            await self._app(scope, receive, send)
            return
        inner = {**scope, "path": path, "method": "GET" if is_head else scope["method"]}

        def share_route() -> None:
            scope.update({key: inner[key] for key in _ROUTE_KEYS if key in inner})

        async def send_back(message: Message) -> None:
            if message["type"] == "http.response.start":
                share_route()
            elif is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app(inner, receive, send_back)
        finally:
            share_route()


def _has_route(scope: Scope) -> bool:
    """Return whether the app has a route for exactly this path, such as the root of a mounted app."""
    return any(route.matches(scope)[0] is not Match.NONE for route in scope["app"].routes)
