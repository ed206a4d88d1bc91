"""A proxy between a client and DynamoDB that can fail at a chosen moment."""

import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from aiohttp import ClientSession, web


class Proxy:
    """Forwards requests one by one; `url` is the URL of the storage through this proxy."""

    def __init__(self, target: str, session: ClientSession) -> None:
        self.url = ""
        self.requests = 0
        self.reads: list[dict[str, Any]] = []
        """The requests to `GetItem`, `BatchGetItem` and `Query`; `Scan` is rejected."""
        self.dies_after: int | None = None
        """The number of requests after which nothing is forwarded, as if the client had died."""
        self.loses_answer_of: int | None = None
        """The number of the request that is forwarded, but whose response is lost."""
        self.errors: deque[str] = deque()
        """Error codes to respond with first."""
        self.before: dict[int, Callable[[], Awaitable[None]]] = {}
        """By the number of a request, what happens before it is forwarded."""
        self._target = target
        self._session = session

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.requests += 1
        number = self.requests
        operation = request.headers["X-Amz-Target"].partition(".")[2]
        assert operation != "Scan"
        if operation in {"GetItem", "BatchGetItem", "Query"}:
            self.reads.append(json.loads(body))
        if number in self.before:
            await self.before[number]()
        if self.errors:
            code = self.errors.popleft()
            error: dict[str, Any] = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "No."}
            if code == "TransactionCanceledException":
                error["CancellationReasons"] = [{"Code": "None"}, {"Code": "TransactionConflict"}]
            return web.Response(status=400, body=json.dumps(error), content_type="application/x-amz-json-1.0")
        if self.dies_after is not None and number > self.dies_after:
            return _lost(request)
        names = ("Content-Type", "X-Amz-Target", "X-Amz-Date", "Authorization")
        headers = {name: request.headers[name] for name in names if name in request.headers}
        async with self._session.post(self._target, data=body, headers=headers) as answer:
            content = await answer.read()
        if number == self.loses_answer_of:
            return _lost(request)
        return web.Response(status=answer.status, body=content, content_type="application/x-amz-json-1.0")


@asynccontextmanager
async def proxied(storage_url: str) -> AsyncIterator[Proxy]:
    parts = urlsplit(storage_url)
    (target,) = parse_qs(parts.query)["endpoint"]
    async with ClientSession() as session:
        proxy = Proxy(target, session)
        application = web.Application(client_max_size=2**26)
        application.router.add_post("/", proxy.handle)
        runner = web.AppRunner(application, shutdown_timeout=1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            proxy.url = parts._replace(query=urlencode({"endpoint": f"http://127.0.0.1:{port}"})).geturl()
            yield proxy
        finally:
            await runner.cleanup()


def _lost(request: web.Request) -> web.StreamResponse:
    assert request.transport
    request.transport.abort()
    return web.Response()
