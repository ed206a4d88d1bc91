"""What a direct route gives to its function."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, Path, Query, Request, Response
from pydantic import BaseModel
from starlette.types import Message, Scope

from entrypoints.http.routing import DirectApp, DirectRoute


class Numbers(BaseModel):
    first: int
    second: int = 2


def whole_path(request: Request, name: Annotated[str, Path(alias="name")]) -> str:
    return f"{request.url.path} of {name}"


Whole = Annotated[str, Depends(whole_path)]


async def answer(
    request: Request,
    name: Annotated[str, Path(alias="name")],
    whole: Whole,
    numbers: Annotated[Numbers, Query()],
) -> Response:
    told = [request.method, name, whole, numbers.first, numbers.second]
    return Response(" ".join(map(str, told)))


async def total(numbers: Numbers) -> Response:
    return Response(str(numbers.first + numbers.second))


def an_app() -> DirectApp:
    router = APIRouter(route_class=DirectRoute)
    router.get("/things/{name}", name="answer")(answer)
    router.post("/totals", name="total")(total)
    app = DirectApp()
    app.add_router(router)
    return app


@pytest.fixture
def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(an_app()), base_url="http://localhost")


async def test_a_function_is_given_what_its_annotations_ask_for(client: httpx.AsyncClient) -> None:
    response = await client.get("/things/lamp?first=1")
    assert response.text == "GET lamp /things/lamp of lamp 1 2"


async def test_an_app_behind_a_prefix_answers_under_it() -> None:
    transport = httpx.ASGITransport(an_app(), root_path="/prefix")
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/prefix/things/lamp?first=1")).text.startswith("GET lamp /prefix/things/lamp")
    transport = httpx.ASGITransport(an_app(), root_path="/things")
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/things/lamp?first=1")).status_code == 404
        assert (await client.get("/things/things/lamp?first=1")).status_code == 200


async def test_where_telemetry_is_told_the_framework_finds_the_route() -> None:
    app = an_app()
    answers: list[Message] = []

    async def send(message: Message) -> None:
        answers.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: Scope = {"type": "http", "method": "GET", "path": "/things/lamp", "query_string": b"first=1", "headers": []}
    scope.update({"server": ("localhost", 80), "scheme": "http", "fastapi.telemetry": None})
    await app(scope, receive, send)
    assert answers[1]["body"].startswith(b"GET lamp")
    assert "route" in scope  # which the framework's search alone notes


async def test_a_body_is_given_as_its_model(client: httpx.AsyncClient) -> None:
    assert (await client.post("/totals", json={"first": 3})).text == "5"


async def asks_for_tasks(tasks: BackgroundTasks) -> Response:
    raise AssertionError


async def asks_for_a_union(value: str | int) -> Response:
    raise AssertionError


async def asks_without_an_alias(value: Annotated[str, Path()]) -> Response:
    raise AssertionError


@pytest.mark.parametrize("function", [asks_for_tasks, asks_for_a_union, asks_without_an_alias])
def test_what_a_direct_route_cannot_give_is_refused_when_it_is_made(
    function: Callable[[Any], Awaitable[Response]],
) -> None:
    router = APIRouter(route_class=DirectRoute)
    with pytest.raises(TypeError, match="does not know how to give"):
        router.get("/{value}", name="refused")(function)
