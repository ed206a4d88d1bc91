"""Routes that call their functions directly.

FastAPI would work out anew for each request what a function has to be given, which costs more than the rest of the way.
Here that is settled when a route is made. FastAPI describes the routes, and answers for what is none of them.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from inspect import signature
from typing import Any, ClassVar, Final, TypeAlias, cast, get_args, get_type_hints

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.params import Depends, Path, Query
from fastapi.routing import APIRoute
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

Source: TypeAlias = Callable[[Request, object], Any]
"""Gives an argument, out of a request and its body."""


class DirectApp(FastAPI):
    """An app of direct routes, with `InternalErrorMiddleware` as its last resort."""

    def build_middleware_stack(self) -> ASGIApp:
        routes = [route for route in self.routes if isinstance(route, DirectRoute)]
        app: ASGIApp = ExceptionMiddleware(self.router, self.exception_handlers)
        app = _Shortcut(routes, self.exception_handlers, app)
        for middleware in reversed(self.user_middleware):
            app = middleware.cls(app, *middleware.args, **middleware.kwargs)
        return app

    def add_router(self, router: APIRouter) -> None:
        """Take over a router's routes as they are; included, they would be looked up in two steps."""
        self.router.routes.extend(router.routes)


class DirectRoute(APIRoute):
    """A route whose function is a coroutine function that returns the response.

    It may be given the request, texts of the path, the query and the body as one model each, and what plain functions
    make of the same, but for the body; these are called as often as they are asked for.
    """

    request_class: ClassVar[type[Request]] = Request

    def __init__(self, path: str, endpoint: Callable[..., Awaitable[Response]], **options: Any) -> None:
        super().__init__(path, endpoint, **{**options, "operation_id": options["name"]})
        self._arguments: Final = _Arguments(endpoint)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in (self.methods or ()):
            raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)
        response = await self.respond(self.request_class(scope, receive))
        await response(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        """Answer a request for this route's path and method."""
        body = await request.json() if self.body_field else None
        return cast("Response", await self.endpoint(**self._arguments(request, body)))


class _Shortcut:
    """Leads to the direct route that a request is for, past the framework's search, and turns what it raises into
    answers; all else is for the framework to find or to refuse."""

    def __init__(self, routes: Sequence[DirectRoute], handlers: Mapping[Any, Callable[..., Any]], app: ASGIApp) -> None:
        self._app = app
        self._handlers = handlers
        self._by_length: dict[int, dict[re.Pattern[str], dict[str, DirectRoute]]] = {}
        for route in routes:
            methods = self._by_length.setdefault(route.path.count("/"), {}).setdefault(route.path_regex, {})
            methods.update(dict.fromkeys(route.methods or (), route))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._find(scope)
        if route is None:
            await self._app(scope, receive, send)
            return
        request = route.request_class(scope, receive)
        try:
            response = await route.respond(request)
        except Exception as error:
            handler = next((self._handlers[kind] for kind in type(error).__mro__ if kind in self._handlers), None)
            if handler is None:
                raise
            response = await handler(request, error)
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> DirectRoute | None:
        """Find the route, and note in the scope what its path says; none where FastAPI is to tell of its search."""
        if scope["type"] != "http" or scope.get("root_path") or "fastapi.telemetry" in scope:
            return None
        path: str = scope["path"]
        for pattern, methods in self._by_length.get(path.count("/"), {}).items():
            found = pattern.match(path)
            if found:
                scope["path_params"] = found.groupdict()
                return methods.get(scope["method"])
        return None


class _Arguments:
    """What a function is given, by the annotations of its parameters."""

    def __init__(self, function: Callable[..., Any]) -> None:
        hints = get_type_hints(function, include_extras=True)
        # What is called _ and may be left out is only there to be described.
        parameters = signature(function).parameters.values()
        names = [one.name for one in parameters if one.name != "_" or one.default is one.empty]
        sources = [(name, _source(hints[name])) for name in names]
        # What a model refuses comes last: who may not know of a record is not told how to write to it.
        self._sources: Final = sorted(sources, key=lambda source: isinstance(source[1], _Model))

    @property
    def are_the_request(self) -> bool:
        """Whether there is nothing else to work out."""
        return [source for _, source in self._sources] == [_the_request]

    def __call__(self, request: Request, body: object) -> Mapping[str, Any]:
        return {name: source(request, body) for name, source in self._sources}


class _Model:
    def __init__(self, model: type[BaseModel], place: str) -> None:
        self._model = model
        self._place = place

    def __call__(self, request: Request, body: object) -> BaseModel:
        given = body if self._place == "body" else dict(request.query_params)
        try:
            return self._model.model_validate(given)
        except ValidationError as refusal:
            errors = refusal.errors(include_url=False, include_context=False, include_input=False)
            raise RequestValidationError([{**error, "loc": (self._place, *error["loc"])} for error in errors]) from None


def _the_request(request: Request, _: object) -> Request:
    return request


def _source(annotation: Any) -> Source:
    kind, *marks = get_args(annotation) or [annotation]
    match [mark for mark in marks if isinstance(mark, Depends | Path | Query)]:
        case [Depends(dependency=function)] if function is not None:
            arguments = _Arguments(function)
            if arguments.are_the_request:
                return lambda request, _: function(request)
            return lambda request, body: function(**arguments(request, body))
        case [Path(alias=str(alias))]:
            return lambda request, _: request.path_params[alias]
        case [Query()]:
            return _Model(kind, "query")
        case [] if kind is Request:
            return _the_request
        case [] if isinstance(kind, type) and issubclass(kind, BaseModel):
            return _Model(kind, "body")
    raise TypeError(f"a direct route does not know how to give {annotation}")
