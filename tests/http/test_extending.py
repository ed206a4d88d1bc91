"""FastAPI's extension points work with userport's app."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, Request, Response, Security, WebSocket
from fastapi.security import SecurityScopes
from pydantic import BaseModel, SecretStr
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from application.principal import OPERATOR, Principal
from domain.values import SessionId, UserId
from entrypoints.container import Container
from entrypoints.http.app import create_app
from entrypoints.http.dependencies import Users, access_token, current_principal, user_service
from entrypoints.settings import Settings
from tests.http.problems import check_problem, code_of
from tests.http.records import UNKNOWN_ID, new_user, register
from tests.http.service import THIS_MACHINE
from tests.http.sign_in_helpers import SIGNING_KEY


class Note(BaseModel):
    text: str


@pytest.fixture
def app() -> FastAPI:
    """A fresh userport app in open mode."""
    return create_app(Container(settings=Settings(storage="memory://")))


@pytest.fixture
def token_app() -> FastAPI:
    return create_app(Container(settings=Settings(storage="memory://", signing_key=SecretStr(SIGNING_KEY))))


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=THIS_MACHINE)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


class RouteObserver:
    """Middleware as for metrics: records method and route template at the start and end of a response."""

    def __init__(self, app: ASGIApp, seen: list[tuple[str, ...]]) -> None:
        self.app = app
        self.seen = seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        def template() -> str:
            return getattr(scope.get("route"), "path", "unmatched")

        async def observe(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.seen.append((scope["method"], template(), str(message["status"])))
            await send(message)

        await self.app(scope, receive, observe)
        self.seen.append((scope["method"], template()))


async def test_an_ordinary_router_works_beside_ours(app: FastAPI) -> None:
    events = []

    async def resource() -> AsyncIterator[str]:
        events.append("open")
        yield "resource"
        events.append("closed")

    async def scopes(scopes: SecurityScopes) -> list[str]:
        return scopes.scopes

    router = APIRouter(prefix="/notes")

    @router.post("", status_code=201)
    async def add_note(
        note: Note,
        users: Users,
        resource: Annotated[str, Depends(resource)],
        scopes: Annotated[list[str], Security(scopes, scopes=["notes"])],
        tasks: BackgroundTasks,
        response: Response,
    ) -> dict[str, Any]:
        tasks.add_task(events.append, "task")
        response.headers["X-Notes"] = "1"
        return {"text": note.text, "users": await users.count(), "with": [resource, *scopes]}

    app.include_router(router)
    async with client_of(app) as client:
        await register(client)
        response = await client.post("/notes", json={"text": "hello"})
        assert response.status_code == 201
        assert response.json() == {"text": "hello", "users": 1, "with": ["resource", "notes"]}
        assert response.headers["x-notes"] == "1"
        assert sorted(events) == ["closed", "open", "task"]
        assert response.headers["x-content-type-options"] == "nosniff"
        refused = await client.post("/notes", json={})
        assert (refused.status_code, code_of(refused)) == (422, "invalid_input")
        check_problem(refused)
        assert (await client.post("/notes/", json={"text": "hello"})).status_code == 201


async def test_a_dependency_is_overridden_from_when_it_is_said_to_when_it_is_taken_back(app: FastAPI) -> None:
    async with client_of(app) as client:
        user = await register(client)
        path = f"/users/{user['id']}"
        assert (await client.get(path)).status_code == 200
        member = Principal(UserId(UNKNOWN_ID), SessionId(UNKNOWN_ID), is_admin=False)
        app.dependency_overrides[current_principal] = lambda: member
        assert (await client.get(path)).status_code == 404
        app.dependency_overrides[access_token] = lambda: "unused"
        assert (await client.get(path)).status_code == 404
        app.dependency_overrides.clear()
        assert (await client.get(path)).status_code == 200


async def test_an_override_may_be_anything_that_fastapi_takes(token_app: FastAPI) -> None:
    closed = []

    async def operator(request: Request) -> AsyncIterator[Principal]:
        yield OPERATOR
        closed.append(request.url.path)

    async with client_of(token_app) as client:
        assert (await client.get("/users")).status_code == 401
        token_app.dependency_overrides[current_principal] = operator
        assert (await client.get("/users")).json() == []
    assert closed == ["/users"]


async def test_overrides_of_one_app_do_not_affect_another() -> None:
    class NoUsers:
        def __init__(self, number: int) -> None:
            self.number = number

        async def count(self) -> int:
            await asyncio.sleep(0)
            return self.number

        async def list(self, **_: Any) -> list[Any]:
            await asyncio.sleep(0)
            return []

    apps = [create_app(Container(settings=Settings(storage="memory://"))) for _ in range(4)]
    for number, app in enumerate(apps[1:], start=1):
        app.dependency_overrides[user_service] = lambda number=number: NoUsers(number)

    async def totals(app: FastAPI) -> set[str]:
        async with client_of(app) as client:
            asked = (client.get("/users?count=true") for _ in range(20))
            return {response.headers["x-total-count"] for response in await asyncio.gather(*asked)}

    assert await asyncio.gather(*map(totals, apps)) == [{"0"}, {"1"}, {"2"}, {"3"}]


@pytest.mark.parametrize("content", [b"", b"{", b'{"a": NaN}', b"\xff"])
async def test_bodies_are_read_strictly_while_a_dependency_is_overridden(app: FastAPI, content: bytes) -> None:
    app.dependency_overrides[current_principal] = lambda: OPERATOR
    async with client_of(app) as client:
        response = await client.post("/users", content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == 400
        check_problem(response)
        assert (await client.post("/users", content=b"{}")).status_code == 415
        assert (await client.post("/users", json=new_user())).status_code == 201
        merge_patch = {"Content-Type": "application/merge-patch+json"}
        assert (await client.patch(f"/users/{UNKNOWN_ID}", content=b"{}", headers=merge_patch)).status_code == 404


async def test_an_app_that_is_mounted_is_served_with_its_own_errors_and_overrides(app: FastAPI) -> None:
    mounted = FastAPI()

    async def number() -> int:
        return 1

    @mounted.get("/")
    async def root(number: Annotated[int, Depends(number)]) -> int:
        return number

    @mounted.get("/fails")
    async def fails() -> None:
        raise HTTPException(418, "own")

    mounted.dependency_overrides[number] = lambda: 2
    app.mount("/inner", mounted)
    app.mount("/files", StaticFiles(directory=__file__.rpartition("/")[0]))
    async with client_of(app) as client:
        assert (await client.get("/inner/")).json() == 2
        assert (await client.head("/inner/")).status_code == 200
        failed = await client.get("/inner/fails")
        assert (failed.status_code, failed.json()) == (418, {"detail": "own"})
        assert (await client.get("/inner/nothing")).json() == {"detail": "Not Found"}
        assert (await client.get("/files/test_extending.py")).status_code == 200
        assert (await client.get("/users")).status_code == 200


async def test_a_websocket_is_served_beside_ours(app: FastAPI) -> None:
    @app.websocket("/echo")
    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())

    received: list[Message] = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "hello"}]
    sent: list[Message] = []

    async def receive() -> Message:
        return received.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/echo", "query_string": b"", "headers": [], "client": THIS_MACHINE}
    await app(scope, receive, send)
    assert [message.get("text") for message in sent if message["type"] == "websocket.send"] == ["hello"]


async def test_userport_may_be_mounted_itself() -> None:
    outer = FastAPI()
    outer.mount("/accounts", create_app(Container(settings=Settings(storage="memory://"))))
    async with client_of(outer) as client:
        created = await client.post("/accounts/users", json=new_user())
        assert created.status_code == 201
        assert (await client.get(f"/accounts{created.headers['location']}")).status_code == 200
        assert (await client.get("/accounts/nothing")).status_code == 404
        assert (await client.get("/users")).status_code == 404


async def test_an_app_behind_a_prefix_answers_under_it(app: FastAPI) -> None:
    transport = httpx.ASGITransport(app, client=THIS_MACHINE, root_path="/prefix")
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/prefix/users")).json() == []
    transport = httpx.ASGITransport(app, client=THIS_MACHINE, root_path="/users")
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        assert (await client.get("/users/nothing")).json()["code"] == "not_found"
        assert (await client.get("/users/users")).json() == []


SEEN = [
    ("GET", "/users", "/users", "200"),
    ("HEAD", "/users", "/users", "200"),
    ("GET", "/users/", "/users", "200"),
    ("HEAD", "/users/", "/users", "200"),
    ("GET", f"/users/{UNKNOWN_ID}", "/users/{id}", "404"),
    ("GET", f"/users/{UNKNOWN_ID}/posts/", "/users/{id}/posts", "404"),
    ("POST", "/users", "/users", "400"),
    ("PUT", "/health/live", "/health/live", "405"),
    ("GET", "/broken/7", "/broken/{number}", "500"),
    ("HEAD", "/broken/7", "/broken/{number}", "500"),
    ("GET", "/openapi.json", "unmatched", "200"),
    ("GET", "/nothing", "unmatched", "404"),
]


@pytest.mark.parametrize(("method", "path", "template", "status"), SEEN)
async def test_middleware_from_elsewhere_sees_the_template_of_the_route(
    app: FastAPI, method: str, path: str, template: str, status: str
) -> None:
    seen: list[tuple[str, ...]] = []

    @app.get("/broken/{number}")
    async def broken(number: int) -> None:
        raise RuntimeError(number)

    app.add_middleware(RouteObserver, seen=seen)
    async with client_of(app) as client:
        response = await client.request(method, path)
    assert str(response.status_code) == status
    assert seen == [(method, template, status), (method, template)]


async def test_exceptions_of_ones_own_have_handlers_of_ones_own(app: FastAPI) -> None:
    class Unpaid(Exception):
        pass

    def unpaid() -> None:
        raise Unpaid

    @app.exception_handler(Unpaid)
    def ask_for_money(_: Request, __: Exception) -> Response:
        return Response(status_code=402)

    app.exception_handler(404)(lambda *_: Response("own", status_code=404))

    class Users:
        async def get(self, _: object) -> None:
            raise Unpaid

    app.state.container.users.override(Users())
    async with client_of(app) as client:
        assert (await client.get(f"/users/{UNKNOWN_ID}")).status_code == 402
        assert (await client.get("/nothing")).text == "own"


async def test_a_route_before_ours_takes_precedence(app: FastAPI) -> None:
    async def theirs(_: Request) -> Response:
        return Response("theirs")

    app.router.routes.insert(0, Route("/users/{name}", theirs))
    async with client_of(app) as client:
        assert (await client.get("/users/ann")).text == "theirs"
        assert (await client.get("/users")).json() == []


async def test_a_userport_path_can_be_built_from_its_name(app: FastAPI) -> None:
    @app.get("/where")
    async def where(request: Request) -> str:
        return str(request.url_for("get_user", id="7"))

    async with client_of(app) as client:
        assert (await client.get("/where")).json() == "http://localhost/users/7"
    assert app.url_path_for("list_posts", id="7") == "/users/7/posts"


async def test_the_document_has_routes_that_are_added_after_it_was_made(app: FastAPI) -> None:
    assert "/notes" not in app.openapi()["paths"]

    @app.post("/notes", tags=["notes"])
    async def add_note(note: Note) -> Note:
        return note

    paths = app.openapi()["paths"]
    assert paths["/notes"]["post"]["operationId"]
    assert paths["/users"]["post"]["operationId"] == "create_user"
    assert app.openapi() is app.openapi()


async def test_where_telemetry_observes_the_search_the_framework_searches(app: FastAPI) -> None:
    seen: list[Message] = []

    async def send(message: Message) -> None:
        seen.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/health/live",
        "http_version": "1.1",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "server": ("localhost", 80),
        "client": THIS_MACHINE,
        "scheme": "http",
        "fastapi.telemetry": object(),
    }
    await app(scope, receive, send)
    assert seen[0]["status"] == 200
    assert "fastapi" in scope  # set by the framework's routing
