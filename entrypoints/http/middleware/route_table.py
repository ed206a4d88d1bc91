import re
from collections.abc import Awaitable
from typing import Any, Final, NamedTuple

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.convertors import StringConvertor
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from entrypoints.http.routing import Plan, PrecompiledRoute

_ERROR: Final = "userport.error"


class RouteTableMiddleware:
    """Serves requests for precompiled routes, and passes all others to FastAPI's router.

    It matches by method and path length instead of trying the routes one after the other. The match and the keys of the
    scope are the router's. It must be the innermost middleware, and reads the app's routes and exception handlers at
    the first request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._table: _RouteTable | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        # FastAPI's telemetry observes the router's search; it is None for a request that is not sampled.
        # The paths of a mounted app have a prefix.
        if scope["type"] == "http" and not scope.get("root_path") and scope.get("fastapi.telemetry") is None:
            if self._table is None:
                self._table = _RouteTable(scope["app"])
            plan = self._table.find(scope)
            if plan is not None:
                return self._table.respond(plan, scope, receive, send)
        return self._app(scope, receive, send)


class _Entry(NamedTuple):
    path: re.Pattern[str]
    plan: Plan | None
    scope: Scope


class _RouteTable:
    def __init__(self, app: FastAPI) -> None:
        self._entries: dict[tuple[str, int], list[_Entry]] = {}
        self._handle_error: Final = ExceptionMiddleware(_raise, _exception_handlers(app))
        for context in iter_route_contexts(app.routes):
            route: Any = context
            if not isinstance(context.original_route, Route) or not route.methods or not _has_plain_path(route):
                break  # it may match any request, and precedes the routes behind it
            is_planned = isinstance(context.original_route, PrecompiledRoute) and route.max_body_size is None
            plan = Plan.compile(context) if is_planned else None
            scope = {"route": context.original_route, "endpoint": route.endpoint, "router": app.router}
            for method in route.methods:
                key = method, route.path_format.count("/")
                self._entries.setdefault(key, []).append(_Entry(route.path_regex, plan, scope))

    def find(self, scope: Scope) -> Plan | None:
        """Return the plan for a request and set the route in its scope, or None to leave the request to FastAPI."""
        path: str = scope["path"]
        for entry in self._entries.get((scope["method"], path.count("/")), ()):
            if match := entry.path.match(path):
                if entry.plan is None or entry.plan.is_overridden():
                    return None
                scope.update(entry.scope, path_params=match.groupdict())
                return entry.plan
        return None

    async def respond(self, plan: Plan, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await plan.respond(Request(scope, receive))
        except Exception as error:  # noqa: BLE001 - raised again where Starlette looks for its handler
            scope[_ERROR] = error
            await self._handle_error(scope, receive, send)
        else:
            await response(scope, receive, send)


async def _raise(scope: Scope, _: Receive, __: Send) -> None:
    raise scope.pop(_ERROR)


def _exception_handlers(app: FastAPI) -> dict[Any, Any]:
    """Return the handlers that FastAPI gives to its `ExceptionMiddleware`."""
    return {key: handler for key, handler in app.exception_handlers.items() if key not in (500, Exception)}


def _has_plain_path(route: Any) -> bool:
    """Return whether every path parameter is one segment, without a convertor such as `:path`."""
    return all(type(convertor) is StringConvertor for convertor in route.param_convertors.values())
