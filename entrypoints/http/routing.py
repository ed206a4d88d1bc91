"""Routes that resolve the arguments of their endpoints by a precompiled plan.

FastAPI's own handler works out for every request where each argument comes from, which takes longer than the rest of
the application. A `PrecompiledRoute` does that once, from FastAPI's own analysis of the endpoint.
"""

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from operator import attrgetter, itemgetter
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias, Union, get_args, get_origin
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response, params
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import get_typed_return_annotation
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute, _effective_route_context_var
from pydantic import BaseModel, ValidationError

from entrypoints.http.bodies import ACCEPTED, JsonRequest, read_json

Handler: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]
Call: TypeAlias = Callable[..., Awaitable[Any]]
ArgumentResolver: TypeAlias = Callable[[Request], str | None]

_MAX_PARAMETERS: Final = 200


def create_router(**options: Any) -> APIRouter:
    """Return a router of precompiled routes whose operation ids are the names of their endpoints."""
    return APIRouter(route_class=PrecompiledRoute, generate_unique_id_function=attrgetter("name"), **options)


class PrecompiledRoute(APIRoute):
    """An `APIRoute` that resolves arguments by a plan, compiled when the route is created or included.

    A plan supports coroutine endpoints annotated to return a response, coroutine dependencies, the request, text path
    parameters, optional text headers, and one model each for the query and the JSON body. FastAPI's own handler serves
    every other route, and every request with an overridden dependency.

    JSON bodies are parsed strictly in both cases. A plan calls the dependencies of the router and the decorator before
    it reads the body, so a rejected caller learns nothing about it. FastAPI's handler reads the body first.
    """

    def get_route_handler(self) -> Handler:
        # Only this variable has the path and the dependencies of an included route.
        context = _effective_route_context_var.get()
        route: Any = self if context is None or context.original_route is not self else context
        handle = super().get_route_handler()
        if _json_body(route):
            handle = _with_strict_json(handle)
        plan = Plan.compile(route)
        if plan is None:
            return handle

        async def handle_by_plan(request: Request) -> Response:
            return await (handle(request) if plan.is_overridden() else plan.respond(request))

        return handle_by_plan


class _Step(NamedTuple):
    """A function to call, and a picker of its arguments, in order, from the values so far."""

    call: Call
    pick: Callable[[list[Any]], Iterable[Any]]


class _Model(NamedTuple):
    """A model that parses the query or the body."""

    location: Literal["query", "body"]
    parameter: str
    type: type[BaseModel]

    async def read(self, request: Request) -> object:
        return await read_json(request) if self.location == "body" else _read_query(request)

    def parse(self, content: object, errors: list[Any]) -> BaseModel | None:
        """Return the parsed content, or None after appending its errors, which never contain the input."""
        try:
            return self.type.model_validate(content)
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=False, include_input=False)
            errors.extend({**detail, "loc": (self.location, *detail["loc"])} for detail in details)
            return None


def _read_query(request: Request) -> dict[str, str]:
    """Return `dict(request.query_params)`, but faster. Raise a 422 for too many parameters."""
    query: bytes = request.scope["query_string"]
    try:
        return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=_MAX_PARAMETERS))
    except ValueError:
        raise RequestValidationError([{"type": "too_long", "loc": ("query",)}]) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to respond to a request for a route.

    One list collects the values that functions take: the request, texts, the results of guards and other dependencies,
    and the models.
    """

    texts: Sequence[ArgumentResolver]
    guards: Sequence[_Step]
    dependencies: Sequence[_Step]
    models: Sequence[_Model]
    endpoint: _Step
    calls: frozenset[Call]
    overrides_provider: Any

    @classmethod
    def compile(cls, route: Any) -> "Plan | None":
        """Return the plan of an `APIRoute`; None if it uses a feature that plans do not support."""
        try:
            return _Compiler().compile(route)
        except _Unsupported:
            return None

    def is_overridden(self) -> bool:
        """Return whether `app.dependency_overrides` replaces a dependency."""
        provider = self.overrides_provider
        return provider is not None and not self.calls.isdisjoint(provider.dependency_overrides)

    async def respond(self, request: Request) -> Response:
        values: list[Any] = [request, *[resolve(request) for resolve in self.texts]]
        for call, pick in self.guards:
            values.append(await call(*pick(values)))
        contents = [await model.read(request) for model in self.models] if self.models else ()
        for call, pick in self.dependencies:
            values.append(await call(*pick(values)))
        # Validation comes last: a caller without access learns nothing about the fields.
        if self.models:
            errors: list[Any] = []
            values += [model.parse(content, errors) for model, content in zip(self.models, contents, strict=True)]
            if errors:
                raise RequestValidationError(errors)
        call, pick = self.endpoint
        response = await call(*pick(values))
        if not isinstance(response, Response):
            raise TypeError(f"{call} is annotated to return a response, but returned a {type(response).__name__}")
        return response


class _Unsupported(Exception):
    """A route uses a feature that only FastAPI's own handler supports."""


class _Compiler:
    """Compiles FastAPI's analysis of a route into a plan. Values have keys until their positions are known."""

    def __init__(self) -> None:
        self._texts: dict[Hashable, ArgumentResolver] = {}
        self._steps: dict[Call, Sequence[Hashable]] = {}

    def compile(self, route: Any) -> Plan:
        endpoint: Dependant = route.dependant
        function = _coroutine_function(endpoint)
        returned = get_typed_return_annotation(function)
        body = _json_body(route)
        if not _is_subclass(returned, Response) or (route.body_field and body is None):
            raise _Unsupported
        models = [*_query_models(endpoint), *([body] if body else [])]
        for guard in endpoint.dependencies:
            if guard.name is None:
                self._add(guard)
        guard_count = len(self._steps)
        arguments = self._arguments(endpoint, models)
        keys = [Request, *self._texts, *self._steps, *models]
        positions = {key: position for position, key in enumerate(keys)}
        steps = [_Step(call, _picker([positions[key] for key in taken])) for call, taken in self._steps.items()]
        return Plan(
            texts=list(self._texts.values()),
            guards=steps[:guard_count],
            dependencies=steps[guard_count:],
            models=models,
            endpoint=_Step(function, _picker([positions[key] for key in arguments])),
            calls=frozenset(self._steps),
            overrides_provider=route.dependency_overrides_provider,
        )

    def _add(self, dependency: Dependant) -> Call:
        """Add a dependency, after its own dependencies, unless it is present."""
        call = _coroutine_function(dependency)
        if dependency.query_params or dependency.body_params or dependency.scope or not dependency.use_cache:
            raise _Unsupported
        if call not in self._steps:
            self._steps[call] = self._arguments(dependency, [])
        return call

    def _arguments(self, function: Dependant, models: Sequence[_Model]) -> Sequence[Hashable]:
        """Return the keys of a function's arguments, in the order of its parameters."""
        if (
            function.cookie_params
            or function.response_param_name
            or function.background_tasks_param_name
            or function.security_scopes_param_name
            or function.own_oauth_scopes
            or function.parent_oauth_scopes
            or function.concurrency
            or not all(_is_text(field, str) for field in function.path_params)
            or not all(_is_text(field, str | None) and field.default is None for field in function.header_params)
        ):
            raise _Unsupported
        keys: dict[str | None, Hashable] = {model.parameter: model for model in models}
        for name in (function.request_param_name, function.http_connection_param_name):
            keys[name] = Request
        for field in function.path_params:
            keys[field.name] = self._text(_path_text, field.alias)
        for field in function.header_params:
            keys[field.name] = self._text(_header_text, field.alias)
        for dependency in function.dependencies:
            keys[dependency.name] = self._add(dependency)
        parameters = inspect.signature(_coroutine_function(function)).parameters.values()
        if any(parameter.kind not in _POSITIONAL or parameter.name not in keys for parameter in parameters):
            raise _Unsupported
        return [keys[parameter.name] for parameter in parameters]

    def _text(self, resolver: Callable[[str], ArgumentResolver], name: str) -> Hashable:
        key = resolver, name
        self._texts.setdefault(key, resolver(name))
        return key


_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _picker(positions: Sequence[int]) -> Callable[[list[Any]], Iterable[Any]]:
    """Return a function that picks the values at these positions from a list."""
    if len(positions) == 1:
        return itemgetter(slice(positions[0], positions[0] + 1))
    return itemgetter(*positions) if positions else itemgetter(slice(0))


def _path_text(name: str) -> ArgumentResolver:
    return lambda request: request.path_params[name]


def _header_text(name: str) -> ArgumentResolver:
    wanted = name.lower().encode("latin-1")

    def resolve(request: Request) -> str | None:
        for header, value in request.scope["headers"]:
            if header == wanted:
                text: str = value.decode("latin-1")
                return text
        return None

    return resolve


def _coroutine_function(dependant: Dependant) -> Call:
    """Return the function. Plain functions, which FastAPI runs in threads, and generators are unsupported."""
    call = dependant.call
    if call is None or inspect.unwrap(call) is not call:
        raise _Unsupported
    function = call if inspect.isroutine(call) or inspect.isclass(call) else type(call).__call__
    if not inspect.iscoroutinefunction(function):
        raise _Unsupported
    return call


def _query_models(endpoint: Dependant) -> Sequence[_Model]:
    models = [_Model("query", field.name, _model_type(field)) for field in endpoint.query_params]
    for model in models:
        is_open = model.type.model_config.get("extra") == "allow"
        if len(models) > 1 or is_open or not all(_is_scalar(f.annotation) for f in model.type.model_fields.values()):
            raise _Unsupported
    return models


def _json_body(route: Any) -> _Model | None:
    """Return the model of the whole JSON body of a route, if any."""
    fields = route.dependant.body_params
    if len(fields) != 1 or not route.methods <= ACCEPTED.keys():
        return None
    info = fields[0].field_info
    if type(info) is not params.Body or info.embed or info.media_type != "application/json":
        return None
    try:
        return _Model("body", fields[0].name, _model_type(fields[0]))
    except _Unsupported:
        return None


def _model_type(field: Any) -> type[BaseModel]:
    info = field.field_info
    if not _is_subclass(info.annotation, BaseModel) or info.metadata or not info.is_required():
        raise _Unsupported
    model: type[BaseModel] = info.annotation
    return model


def _with_strict_json(handle: Handler) -> Handler:
    async def handle_strictly(request: Request) -> Response:
        return await handle(JsonRequest(request.scope, request.receive))

    return handle_strictly


def _is_text(field: Any, annotation: object) -> bool:
    has_other_name = field.validation_alias not in (None, field.alias)
    return field.field_info.annotation == annotation and not field.field_info.metadata and not has_other_name


def _is_scalar(annotation: Any) -> bool:
    """Return whether a query parameter takes a single value: the last one sent."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_scalar(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return all(_is_scalar(alternative) for alternative in get_args(annotation))
    return origin is Literal or any(_is_subclass(annotation, scalar) for scalar in (str, int, float, Enum, NoneType))


def _is_subclass(annotation: Any, parent: type) -> bool:
    return inspect.isclass(annotation) and issubclass(annotation, parent)
