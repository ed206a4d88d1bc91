"""Precompiled routes resolve arguments as FastAPI does, and leave unsupported features to FastAPI."""

import threading
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypeAlias

import httpx
import pytest
from fastapi import (
    APIRouter,
    BackgroundTasks,
    Body,
    Cookie,
    Depends,
    FastAPI,
    Form,
    Header,
    Path,
    Query,
    Request,
    Response,
    Security,
)
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute, iter_route_contexts
from fastapi.security import SecurityScopes
from pydantic import BaseModel

from entrypoints.http.routing import Plan, PrecompiledRoute
from tests.http.service import Service

Endpoint: TypeAlias = Callable[..., Any]


class Numbers(BaseModel):
    first: int
    second: int = 2


class Labels(BaseModel):
    label: list[str] = []


def an_app(method: str, path: str, endpoint: Endpoint, route_class: type[APIRoute] = PrecompiledRoute) -> FastAPI:
    router = APIRouter(route_class=route_class)
    router.add_api_route(path, endpoint, methods=[method])
    app = FastAPI()
    app.include_router(router)
    return app


def is_planned(app: FastAPI) -> bool:
    return all(
        Plan.compile(context) is not None
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, PrecompiledRoute)
    )


async def ask(app: FastAPI, method: str, path: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return await client.request(method, path, **options)


async def whole_path(request: Request, name: Annotated[str, Path()]) -> str:
    return f"{request.url.path} of {name}"


class Greeting:
    """A dependency that is an object, like a security scheme."""

    async def __call__(self, x_greeting: Annotated[str | None, Header()] = None) -> str:
        return f"{x_greeting}!"


async def received(
    greeting: Annotated[str, Depends(Greeting())],
    name: str,
    request: Request,
    complete: Annotated[str, Depends(whole_path)],
    numbers: Annotated[Numbers, Query()],
) -> Response:
    return Response(" ".join(map(str, [request.method, name, complete, greeting, numbers.first, numbers.second])))


async def total(numbers: Numbers) -> PlainTextResponse:
    return PlainTextResponse(str(numbers.first + numbers.second))


@pytest.mark.parametrize("query", ["first=1", "first=1&second=5", "first=1&first=7&other=x"])
async def test_an_endpoint_is_given_what_its_parameters_ask_for(query: str) -> None:
    path, headers = f"/things/lamp?{query}", {"X-Greeting": "Hello"}
    app = an_app("GET", "/things/{name}", received)
    assert is_planned(app)
    response = await ask(app, "GET", path, headers=headers)
    assert response.text.startswith("GET lamp /things/lamp of lamp Hello! ")
    by_fastapi = await ask(an_app("GET", "/things/{name}", received, APIRoute), "GET", path, headers=headers)
    assert response.content == by_fastapi.content


async def test_a_header_that_is_missing_is_none() -> None:
    assert (await ask(an_app("GET", "/things/{name}", received), "GET", "/things/lamp?first=1")).text.endswith(
        "None! 1 2"
    )


async def test_a_body_is_given_as_its_model() -> None:
    app = an_app("POST", "/totals", total)
    assert is_planned(app)
    assert (await ask(app, "POST", "/totals", json={"first": 3})).text == "5"


@pytest.mark.parametrize("body", [{}, {"first": "x"}, {"first": 1, "second": None}, []])
async def test_what_a_model_refuses_is_named_as_by_fastapi(body: object) -> None:
    responses = [
        await ask(an_app("POST", "/totals", total, route_class), "POST", "/totals", json=body)
        for route_class in (PrecompiledRoute, APIRoute)
    ]
    assert [response.status_code for response in responses] == [422, 422]
    ours, theirs = ([error["loc"] for error in response.json()["detail"]] for response in responses)
    assert ours == theirs


async def test_a_dependency_is_called_once_a_request() -> None:
    calls = []

    async def counted() -> int:
        calls.append(1)
        return len(calls)

    Counted: TypeAlias = Annotated[int, Depends(counted)]

    async def doubled(count: Counted) -> int:
        return 2 * count

    async def endpoint(count: Counted, double: Annotated[int, Depends(doubled)]) -> Response:
        return Response(f"{count} {double}")

    app = an_app("GET", "/", endpoint)
    assert is_planned(app)
    assert [(await ask(app, "GET", "/")).text for _ in range(2)] == ["1 2", "2 4"]


async def test_who_is_turned_away_by_the_router_learns_nothing_of_the_body() -> None:
    async def guard() -> None:
        raise PermissionError

    router = APIRouter(route_class=PrecompiledRoute)
    router.add_api_route("/totals", total, methods=["POST"])
    app = FastAPI()
    app.add_exception_handler(PermissionError, lambda *_: Response(status_code=403))
    app.include_router(router, dependencies=[Depends(guard)])
    assert is_planned(app)
    assert (await ask(app, "POST", "/totals", content=b"{")).status_code == 403


# Endpoints with features that plans do not support, with a request for each.

events: list[str] = []


async def a_resource() -> AsyncIterator[str]:
    events.append("open")
    yield "resource"
    events.append("closed")


def the_thread() -> int:
    return threading.get_ident()


async def scopes_of(scopes: SecurityScopes) -> list[str]:
    return scopes.scopes


async def with_yield(resource: Annotated[str, Depends(a_resource)]) -> Response:
    assert events == ["open"]
    return Response(resource)


async def with_tasks(tasks: BackgroundTasks) -> Response:
    tasks.add_task(events.append, "task")
    return Response()


async def with_scopes(scopes: Annotated[list[str], Security(scopes_of, scopes=["read"])]) -> Response:
    return PlainTextResponse(" ".join(scopes))


async def with_plain_value() -> Numbers:
    return Numbers(first=1)


async def without_annotation():  # type: ignore[no-untyped-def]
    return {"a": 1}


def in_a_thread() -> Response:
    return PlainTextResponse(str(threading.get_ident() != threading.main_thread().ident))


async def with_dependency_in_a_thread(thread: Annotated[int, Depends(the_thread)]) -> Response:
    return PlainTextResponse(str(thread != threading.main_thread().ident))


async def with_cookie(session: Annotated[str, Cookie()]) -> Response:
    return Response(session)


async def with_number_in_header(x_count: Annotated[int, Header()]) -> Response:
    return PlainTextResponse(repr(x_count))


async def with_number_in_path(count: int) -> Response:
    return PlainTextResponse(repr(count))


async def with_single_query(count: int = 3) -> Response:
    return PlainTextResponse(repr(count))


async def with_lists(labels: Annotated[Labels, Query()]) -> Response:
    return PlainTextResponse(" ".join(labels.label))


async def with_form(name: Annotated[str, Form()]) -> Response:
    return Response(name)


async def with_two_bodies(first: Numbers, second: Numbers) -> Response:
    return PlainTextResponse(str(first.first + second.first))


async def with_optional_body(numbers: Numbers | None = None) -> Response:
    return PlainTextResponse(repr(numbers))


async def with_bytes(content: Annotated[bytes, Body(media_type="application/octet-stream")]) -> Response:
    return Response(content)


async def with_response(response: Response) -> dict[str, int]:
    response.headers["X-Added"] = "yes"
    return {}


async def with_keyword(*, name: str) -> Response:
    return Response(name)


async def the_next_number() -> int:
    events.append("number")
    return len(events)


async def with_fresh_dependency(
    first: Annotated[int, Depends(the_next_number)], second: Annotated[int, Depends(the_next_number, use_cache=False)]
) -> Response:
    return Response(f"{first} {second}")


async def with_pattern(name: Annotated[str, Path(pattern="^a")]) -> Response:
    return Response(name)


OTHERS: list[tuple[Endpoint, str, str, dict[str, Any], str]] = [
    (with_yield, "GET", "/", {}, "resource"),
    (with_tasks, "GET", "/", {}, ""),
    (with_scopes, "GET", "/", {}, "read"),
    (with_plain_value, "GET", "/", {}, '{"first":1,"second":2}'),
    (without_annotation, "GET", "/", {}, '{"a":1}'),
    (in_a_thread, "GET", "/", {}, "True"),
    (with_dependency_in_a_thread, "GET", "/", {}, "True"),
    (with_cookie, "GET", "/", {"headers": {"Cookie": "session=s"}}, "s"),
    (with_number_in_header, "GET", "/", {"headers": {"X-Count": "5"}}, "5"),
    (with_number_in_path, "GET", "/{count}", {"url": "/5"}, "5"),
    (with_single_query, "GET", "/", {"params": {"count": 4}}, "4"),
    (with_lists, "GET", "/", {"params": {"label": ["a", "b"]}}, "a b"),
    (with_form, "POST", "/", {"data": {"name": "Ann"}}, "Ann"),
    (with_two_bodies, "POST", "/", {"json": {"first": {"first": 1}, "second": {"first": 2}}}, "3"),
    (with_optional_body, "POST", "/", {}, "None"),
    (with_bytes, "POST", "/", {"content": b"\xff", "headers": {"Content-Type": "application/octet-stream"}}, "\ufffd"),
    (with_response, "GET", "/", {}, "{}"),
    (with_keyword, "GET", "/{name}", {"url": "/lamp"}, "lamp"),
    (with_fresh_dependency, "GET", "/", {}, "1 2"),
    (with_pattern, "GET", "/{name}", {"url": "/abc"}, "abc"),
]


@pytest.mark.parametrize(
    ("endpoint", "method", "path", "request_options", "text"),
    [pytest.param(*other, id=other[0].__name__) for other in OTHERS],
)
async def test_what_plans_do_not_know_is_handled_by_fastapi(
    endpoint: Endpoint, method: str, path: str, request_options: dict[str, Any], text: str
) -> None:
    options = {"url": "/", **request_options}
    responses, all_events = [], []
    for route_class in (PrecompiledRoute, APIRoute):
        events.clear()
        app = an_app(method, path, endpoint, route_class)
        responses.append(await ask(app, method, options["url"], **{k: v for k, v in options.items() if k != "url"}))
        all_events.append(list(events))
    ours, theirs = responses
    assert (ours.status_code, ours.text) == (200, text)
    assert (ours.headers, ours.content, all_events[0]) == (theirs.headers, theirs.content, all_events[1])
    assert not is_planned(an_app(method, path, endpoint))
    if endpoint in (with_yield, with_tasks):
        assert all_events[0] == (["open", "closed"] if endpoint is with_yield else ["task"])


async def test_an_endpoint_that_is_annotated_wrongly_is_named() -> None:
    async def endpoint() -> Response:
        return {}  # type: ignore[return-value]

    with pytest.raises(TypeError, match=r"endpoint.* is annotated to return a response, but returned a dict"):
        await ask(an_app("GET", "/", endpoint), "GET", "/")


async def test_the_dependencies_and_the_prefix_of_an_inclusion_count() -> None:
    async def guard(tenant: Annotated[str, Path()]) -> None:
        events.append(tenant)

    router = APIRouter(route_class=PrecompiledRoute)
    router.add_api_route("/things/{name}", received, methods=["GET"])
    app = FastAPI()
    for prefix in ("/a/{tenant}", "/b/{tenant}"):
        app.include_router(router, prefix=prefix, dependencies=[Depends(guard)])
    assert is_planned(app)
    events.clear()
    texts = [(await ask(app, "GET", f"/{prefix}/things/lamp?first=1")).text for prefix in ("a/x", "b/y")]
    assert [text.split()[2] for text in texts] == ["/a/x/things/lamp", "/b/y/things/lamp"]
    assert events == ["x", "y"]


async def test_every_route_of_the_api_is_planned(memory_token_service: Service) -> None:
    contexts = list(iter_route_contexts(memory_token_service.app.routes))
    routes = [context for context in contexts if isinstance(context.original_route, PrecompiledRoute)]
    assert len(routes) > 20
    assert [context.path for context in routes if Plan.compile(context) is None] == []
