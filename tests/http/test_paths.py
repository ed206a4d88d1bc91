"""Paths, methods, slashes, HEAD, request ids and caching."""

import httpx
import pytest
from starlette.types import Message, Receive, Scope, Send

from tests.http.problems import check_problem, code_of
from tests.http.records import UNKNOWN_ID, new_user, path_of, publish, register
from tests.http.service import THIS_MACHINE, Service


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/user",
        "/Users",
        "/users/x/y",
        "/users//",
        "//users",
        "/users/%00",
        "/users/%FF%FE",
        "/users/%",
        "/users/%zz",
        "/users/%F0%9F%98%80",
        "/users/%2e%2e",
        "/users/..%2f..%2fetc%2fpasswd",
        "/users/%0d%0aX-Evil:%201",
        "/users/..%5c..",
        "/users/\u202e",
        f"/users/{UNKNOWN_ID}%00",
        f"/users/{UNKNOWN_ID}%20",
        f"/users/{UNKNOWN_ID}%0a",
        f"/users/{UNKNOWN_ID};v=1",
        f"/users/{UNKNOWN_ID.replace('0', '%D9%A0')}",
        "/users/" + "a" * 60_000,
        "/" + "a/" * 20_000,
        "/users%0a",
        "/users%0a/",
        "/users/%0a",
        "/health/live%0a",
        "/docs%0A",
        "/openapi.json%0a",
        f"/users/{UNKNOWN_ID}/posts%0a",
        "/posts",
        "/posts/",
        "/posts/%00",
        "/posts/x/y",
        "/health",
        "/health/x",
        "/redoc",
        "/.git/config",
        "/docs/assets/%00",
        "/docs/assets/../../pyproject.toml",
        "/docs/assets/..%2f..%2f__init__.py",
        "/docs/assets/%2e%2e/__init__.py",
        "/docs/assets/" + "a" * 5_000,
        "/docs/assets",
        "/docs/assets/",
        "/openapi.yaml",
    ],
)
async def test_an_unknown_path_is_404(memory_client: httpx.AsyncClient, path: str) -> None:
    response = await memory_client.get(path)
    assert response.status_code == 404
    assert response.json()["instance"].isascii()


PATHS = [
    ("/users", "GET, HEAD, POST"),
    ("/users/{user}", "GET, HEAD, PUT, PATCH, DELETE"),
    ("/users/{user}/posts", "GET, HEAD, POST"),
    ("/posts/{post}", "GET, HEAD, PATCH, DELETE"),
    ("/health/live", "GET, HEAD"),
    ("/health/ready", "GET, HEAD"),
    ("/openapi.json", "GET, HEAD"),
    ("/docs", "GET, HEAD"),
]


async def existing(client: httpx.AsyncClient, path: str) -> str:
    user = await register(client)
    post = await publish(client, user)
    return path.format(user=user["id"], post=post["id"])


METHODS = {"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "X"}


@pytest.mark.parametrize(("path", "allowed"), PATHS)
@pytest.mark.parametrize("slash", ["", "/"])
async def test_a_method_that_a_path_does_not_have_is_405_with_all_that_it_has(
    memory_client: httpx.AsyncClient, path: str, allowed: str, slash: str
) -> None:
    path = await existing(memory_client, path) + slash
    for method in METHODS.difference(allowed.split(", ")):
        response = await memory_client.request(method, path)
        assert (response.status_code, code_of(response)) == (405, "method_not_allowed")
        assert response.headers["allow"] == allowed


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
async def test_a_file_of_the_docs_can_only_be_read(memory_client: httpx.AsyncClient, method: str) -> None:
    response = await memory_client.request(method, "/docs/assets/swagger-ui.css")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("method", ["POST", "OPTIONS", "DELETE"])
async def test_an_unknown_path_is_404_for_every_method(memory_client: httpx.AsyncClient, method: str) -> None:
    assert (await memory_client.request(method, "/nothing")).status_code == 404


@pytest.mark.parametrize(("path", "_allowed"), PATHS)
@pytest.mark.parametrize("slash", ["", "/"])
async def test_head_is_get_without_its_body(
    memory_client: httpx.AsyncClient, path: str, _allowed: str, slash: str
) -> None:
    path = await existing(memory_client, path) + slash
    headers = {"x-request-id": "same"}
    got = await memory_client.get(path, headers=headers)
    head = await memory_client.head(path, headers=headers)
    assert (head.status_code, head.headers) == (got.status_code, got.headers)
    assert head.content == b""
    assert got.status_code == 200


@pytest.mark.parametrize("path", ["/users", "/nothing", "/docs/assets/swagger-ui.css"])
async def test_head_gives_no_body_to_the_server_either(memory_service: Service, path: str) -> None:
    sent: list[bytes] = []

    async def overheard(scope: Scope, receive: Receive, send: Send) -> None:
        async def overhear(message: Message) -> None:
            sent.append(message.get("body", b""))
            await send(message)

        await memory_service.app(scope, receive, overhear)

    transport = httpx.ASGITransport(overheard, client=THIS_MACHINE)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        await client.head(path)
    assert len(sent) > 1
    assert not any(sent)


@pytest.mark.parametrize("path", [f"/users/{UNKNOWN_ID}", "/nothing", "/users?limit=0", "/users?cursor=x"])
async def test_head_of_an_error_is_that_of_get(memory_client: httpx.AsyncClient, path: str) -> None:
    got, head = await memory_client.get(path), await memory_client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == "application/problem+json"
    assert head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize(("path", "_allowed"), PATHS)
async def test_a_slash_at_the_end_changes_nothing(memory_client: httpx.AsyncClient, path: str, _allowed: str) -> None:
    path = await existing(memory_client, path)
    without, with_slash = await memory_client.get(path), await memory_client.get(f"{path}/")
    assert (with_slash.status_code, with_slash.content) == (200, without.content)


async def test_writes_work_with_a_slash_at_the_end(memory_client: httpx.AsyncClient) -> None:
    created = await memory_client.post("/users/", json=new_user())
    assert created.status_code == 201
    path = created.headers["location"]
    assert not path.endswith("/")
    posted = await memory_client.post(f"{path}/posts/", json={"title": "News", "body": "Text"})
    assert posted.status_code == 201
    assert (await memory_client.patch(f"{posted.headers['location']}/", json={"title": "New"})).status_code == 200
    assert (await memory_client.put(f"{path}/", json=new_user())).status_code == 200
    assert (await memory_client.delete(f"{path}/")).status_code == 204


async def test_a_link_leads_to_the_path_without_a_slash(memory_client: httpx.AsyncClient) -> None:
    for _ in range(2):
        await register(memory_client)
    response = await memory_client.get("/users/?limit=1")
    assert response.headers["link"].startswith("</users?")


ANSWERS = [("GET", "/users", 200), ("GET", "/nothing", 404), ("PUT", "/users", 405), ("POST", "/users", 400)]


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_a_sane_request_id_is_taken_over(
    memory_client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    for sane in ("a", "!~", "0" * 128, '4f2d/x=1,"y"', UNKNOWN_ID):
        response = await memory_client.request(method, path, headers={"x-request-id": sane})
        assert (response.status_code, response.headers["x-request-id"]) == (status, sane)


@pytest.mark.parametrize(("method", "path", "status"), ANSWERS)
async def test_another_request_id_is_replaced(
    memory_client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    for odd in (b"", b" ", b"a b", b"0" * 129, b"\xc3\xa9", b"a\tb", b"\x7f", b"a\x00b", b"a\r\nb"):
        responses = [await memory_client.request(method, path, headers=[(b"X-Request-Id", odd)]) for _ in range(2)]
        ids = [response.headers["x-request-id"] for response in responses]
        assert [response.status_code for response in responses] == [status] * 2
        assert all(request_id and request_id.isprintable() and request_id.isascii() for request_id in ids)
        assert ids[0] != ids[1]
        assert odd not in [request_id.encode() for request_id in ids]


async def test_every_request_without_an_id_gets_one_of_its_own(memory_client: httpx.AsyncClient) -> None:
    ids = {(await memory_client.get("/health/live")).headers["x-request-id"] for _ in range(10)}
    assert len(ids) == 10


async def test_answers_with_user_data_may_not_be_kept_by_others(memory_client: httpx.AsyncClient) -> None:
    created = await memory_client.post("/users", json=new_user())
    user = created.json()
    posted = await memory_client.post(f"{path_of(user)}/posts", json={"title": "News", "body": "Text"})
    answers = [
        created,
        posted,
        await memory_client.get("/users"),
        await memory_client.get(path_of(user)),
        await memory_client.head(path_of(user)),
        await memory_client.get(f"{path_of(user)}/posts"),
        await memory_client.get(path_of(posted.json())),
        await memory_client.patch(path_of(user), json={"name": "New"}),
        await memory_client.put(path_of(user), json=new_user()),
        await memory_client.patch(path_of(posted.json()), json={"title": "New"}),
    ]
    assert {answer.headers["cache-control"] for answer in answers} == {"private, no-cache"}


async def test_an_answer_names_each_header_once(memory_client: httpx.AsyncClient) -> None:
    for path in ("/users", "/nothing", "/docs", "/openapi.json"):
        names = [name.lower() for name, _ in (await memory_client.get(path)).headers.raw]
        assert len(names) == len(set(names))


async def test_an_error_is_complete_even_for_a_peer_that_a_server_cannot_name(memory_service: Service) -> None:
    async with memory_service.connect(peer=None) as client:
        response = await client.get("/users")
        assert response.status_code == 403
        check_problem(response)
