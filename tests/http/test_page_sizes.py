"""Pages have a maximum size in bytes and in items, which bounds the memory for slow clients."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from hypothesis import example, given
from hypothesis.strategies import booleans, integers, lists, sampled_from
from starlette.types import Message

from adapters.runtime.system import Uuid7Source
from domain.post import POSTS, Post
from domain.user import User
from domain.values import Body, Email, Name, PostId, Title, UserId
from tests.http.records import Record, new_user, path_of, publish, register
from tests.http.running_server import RunningServer, serving
from tests.http.service import Service, running

MAX_PAGE = 1024 * 1024
MAX_SMALL_PAGE = 64 * 1024
MAX_BODY = "\U0001f600" * 10_000
ITEMS_IN_A_PAGE = 26
"""The number of posts of maximum size that fit."""


async def pages(client: httpx.AsyncClient, path: str | None) -> AsyncIterator[httpx.Response]:
    while path is not None:
        response = await client.get(path)
        assert response.status_code == 200
        assert len(response.content) <= MAX_PAGE
        yield response
        path = response.links["next"]["url"] if "next" in response.links else None


@pytest.mark.every_store
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_page_of_large_items_ends_early_and_links_to_the_rest(client: httpx.AsyncClient, order: str) -> None:
    author = await register(client)
    posts = [await publish(client, author, body=MAX_BODY) for _ in range(30)]
    expected = posts if order == "asc" else posts[::-1]
    walked = [page async for page in pages(client, f"{path_of(author)}/posts?limit=200&count=true&order={order}")]
    assert [page.json() for page in walked] == [expected[:ITEMS_IN_A_PAGE], expected[ITEMS_IN_A_PAGE:]]
    assert [page.headers["x-total-count"] for page in walked] == ["30", "30"]
    assert "limit=200" in walked[0].links["next"]["url"]


async def add_posts(service: Service, sizes: Sequence[int]) -> UserId:
    """Add an author of posts whose bodies have this many code points of four bytes."""
    now, ids = datetime.now(UTC), Uuid7Source()
    author = User.register(id=ids.new(UserId), now=now, email=Email.parse("a@example.org", str), name=Name.parse("A"))
    unit = service.storage.unit_of_work()
    unit.users.add(author)
    posts = unit.records(POSTS)
    for size in sizes:
        body = Body.parse("\U0001f600" * size)
        posts.add(Post.publish(id=ids.new(PostId), author_id=author.id, now=now, title=Title.parse("T"), body=body))
    await unit.commit()
    return author.id


@asynccontextmanager
async def service_with_posts(sizes: Sequence[int]) -> AsyncIterator[tuple[Service, UserId]]:
    """Run an application of its own, with an author of posts."""
    async with running() as service:
        yield service, await add_posts(service, sizes)


@given(
    sizes=lists(sampled_from([1, 10_000, 10_000, 5_000]), max_size=120),
    limit=integers(1, 200),
    offset=integers(0, 100),
    descending=booleans(),
)
@example(sizes=[1] * 201, limit=200, offset=0, descending=False)
@example(sizes=[1] * 66 + [10_000] * 30, limit=200, offset=1, descending=True)
@example(sizes=[1] * 150, limit=100, offset=5, descending=False)
@example(sizes=[1] * 67, limit=67, offset=0, descending=False)
async def test_a_walk_returns_every_item_once_for_any_sizes(
    service_in_memory: Service, sizes: list[int], limit: int, offset: int, descending: bool
) -> None:
    await service_in_memory.empty()
    author = await add_posts(service_in_memory, sizes)
    async with service_in_memory.connect(documented=False) as client:
        met: list[Record] = []
        order = "desc" if descending else "asc"
        async for page in pages(client, f"/users/{author}/posts?limit={limit}&offset={offset}&order={order}"):
            assert len(page.json()) <= limit
            assert page.json() or not met
            met += page.json()
        ids = [post["id"] for post in met]
        assert ids == sorted(set(ids), reverse=descending)
        expected = sizes[::-1] if descending else sizes
        assert [len(post["body"]) for post in met] == expected[offset:]


class UnreadResponse:
    """A request whose client reads nothing of the response's body."""

    def __init__(self, service: Service, path: str) -> None:
        self._read = asyncio.Event()
        self._at_body = asyncio.Event()
        self.chunks: list[int] = []
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "query_string": b"limit=200",
            "scheme": "http",
            "client": ("127.0.0.1", 50000),
            "headers": [(b"host", b"localhost")],
        }
        self._task = asyncio.create_task(service.app(scope, self._receive, self._send))

    async def wait_for_body(self) -> None:
        await self._at_body.wait()

    async def read(self) -> None:
        self._read.set()
        await self._task

    async def leave(self) -> None:
        self._task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self._task

    async def _receive(self) -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            self.chunks.append(len(message["body"]))
            self._at_body.set()
            await self._read.wait()


async def test_while_many_large_pages_are_unread_others_are_small() -> None:
    async with service_with_posts([10_000] * 40) as (service, author), service.connect(documented=False) as client:
        path = f"/users/{author}/posts"
        unread = [UnreadResponse(service, path) for _ in range(16)]
        for response in unread:
            await response.wait_for_body()
        small = [page async for page in pages(client, f"{path}?limit=200")]
        assert all(len(page.content) <= MAX_SMALL_PAGE for page in small)
        assert sum(len(page.json()) for page in small) == 40
        for response in unread:
            await response.read()
            assert sum(response.chunks) > MAX_PAGE * 0.9
            assert max(response.chunks) <= MAX_SMALL_PAGE
        assert len((await client.get(f"{path}?limit=200")).json()) == ITEMS_IN_A_PAGE


async def test_clients_that_have_left_make_no_pages_small() -> None:
    async with service_with_posts([10_000] * 40) as (service, author), service.connect(documented=False) as client:
        path = f"/users/{author}/posts"
        left = [UnreadResponse(service, path) for _ in range(16)]  # and keep what led to their cancellation
        for response in left:
            await response.wait_for_body()
            await response.leave()
        assert len((await client.get(f"{path}?limit=200")).json()) == ITEMS_IN_A_PAGE


async def request_large_pages(client: httpx.AsyncClient, path: str, count: int) -> list[asyncio.Task[httpx.Response]]:
    tasks = [asyncio.create_task(client.get(path)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_other_requests_are_answered_between_large_pages() -> None:
    async with service_with_posts([10_000] * 40) as (service, author), service.connect(documented=False) as client:
        path = f"/users/{author}/posts?limit=200"
        await client.get(path)  # shows how large they are
        waiting = await request_large_pages(client, path, 60)
        for cancelled in waiting[::3]:
            cancelled.cancel()
        await client.get(f"/users/{author}")
        assert sum(task.done() and not task.cancelled() for task in waiting) < 20
        responses = await asyncio.gather(*waiting, return_exceptions=True)
        assert [response.status_code for response in responses if isinstance(response, httpx.Response)] == [200] * 40


async def test_no_large_page_is_read_while_requests_for_others_arrive() -> None:
    async with service_with_posts([10_000] * 40) as (service, author), service.connect(documented=False) as client:
        path = f"/users/{author}/posts?limit=200"
        await client.get(path)
        waiting = await request_large_pages(client, path, 1)
        for _ in range(60):
            waiting += await request_large_pages(client, path, 1)  # one a turn of the event loop
        assert sum(task.done() for task in waiting) < 3
        assert [(await task).status_code for task in waiting] == [200] * 61


async def test_a_large_page_is_read_even_if_requests_for_others_do_not_stop() -> None:
    async with service_with_posts([10_000] * 40) as (service, author), service.connect(documented=False) as client:
        path = f"/users/{author}/posts?limit=200"
        await client.get(path)
        waiting = await request_large_pages(client, path, 1)
        while not waiting[0].done():
            waiting += await request_large_pages(client, path, 1)
            assert len(waiting) < 500
        for task in waiting:
            task.cancel()


async def test_a_list_of_users_does_not_wait_for_large_pages_of_posts() -> None:
    async with service_with_posts([10_000] * 40) as (service, author), service.connect(documented=False) as client:
        path = f"/users/{author}/posts?limit=200"
        await client.get(path)  # shows how large they are
        waiting = await request_large_pages(client, path, 60)
        assert len((await client.get("/users")).json()) == 1
        assert sum(task.done() for task in waiting) < 20
        assert [(await task).status_code for task in waiting] == [200] * 60


@pytest.fixture
def served(tmp_path: Path) -> Iterator[RunningServer]:
    with serving(tmp_path) as served:
        yield served


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="the memory of a process is read as Linux tells it")
def test_slow_readers_of_large_pages_take_little_memory(served: RunningServer) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{served.port}") as client:
        author = client.post("/users", json=new_user()).json()["id"]
        for _ in range(200):
            post = {"title": "T", "body": MAX_BODY}
            assert client.post(f"/users/{author}/posts", json=post).status_code == 201
        idle = served.memory
        request = f"GET /users/{author}/posts?limit=200 HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        with ExitStack() as connections:
            for _ in range(150):
                connection = connections.enter_context(socket.socket())
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                connection.connect(("127.0.0.1", served.port))
                connection.sendall(request)
                assert connection.recv(8) == b"HTTP/1.1"
            assert served.memory - idle < 100 * 1024 * 1024
            assert client.get("/health/live").status_code == 200
