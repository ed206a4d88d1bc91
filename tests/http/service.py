"""The application in this process, and clients for it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import httpx
from dependency_injector.providers import Object
from fastapi import FastAPI

from application.ports import Clock, JobHandler
from domain.jobs import JOBS
from domain.sign_in_failures import SIGN_IN_FAILURES
from domain.storage import Storage
from entrypoints.container import Container
from entrypoints.http.app import create_app
from entrypoints.settings import Settings
from entrypoints.telemetry import start_tracing
from tests.application.fakes import ReadableHasher
from tests.http.document import Document
from tests.http.mailbox import Mailbox
from tests.http.problems import check_oauth_error, check_problem, is_oauth_error

THIS_MACHINE: Final = ("127.0.0.1", 50000)


@dataclass(frozen=True)
class Service:
    app: FastAPI
    container: Container
    document: Document
    mailbox: Mailbox

    @property
    def storage(self) -> Storage:
        return self.container.storage()

    def connect(
        self,
        *,
        peer: tuple[str, int] | None = THIS_MACHINE,
        base_url: str = "http://localhost",
        survives_bugs: bool = False,
        documented: bool = True,
        **settings: Any,
    ) -> httpx.AsyncClient:
        """Return a client that checks every response against the contract and, if `documented`, the OpenAPI document.

        With `survives_bugs`, an unexpected exception looks as it would to a client of a real server.
        """
        document = self.document if documented else None
        transport = _CheckingTransport(self.app, document, peer, raise_app_exceptions=not survives_bugs)
        return httpx.AsyncClient(transport=transport, base_url=base_url, **settings)

    async def do_jobs(self) -> None:
        """Do every job that is due, as a worker does; one that fails waits for its next attempt."""
        runner = self.container.job_runner()
        while jobs := (await runner.claim(100)).jobs:
            await runner.settle([await runner.attempt(job) for job in jobs])

    async def empty(self) -> None:
        """Remove all users, their records, all mails and jobs, and the counts of failures."""
        while users := await self.storage.unit_of_work().users.page(limit=200):
            unit = self.storage.unit_of_work()
            for user in users:
                unit.users.remove(user)
            await unit.commit()
        self.mailbox.mails.clear()
        in_the_end = datetime.max.replace(tzinfo=UTC, microsecond=0)
        while jobs := await self.storage.unit_of_work().records(JOBS).page(limit=100):
            unit = self.storage.unit_of_work()
            for job in jobs:
                unit.records(JOBS).remove(job)
            await unit.commit()
        while failures := await self.storage.unit_of_work().records(SIGN_IN_FAILURES).due(in_the_end, limit=100):
            unit = self.storage.unit_of_work()
            for failure in failures:
                unit.records(SIGN_IN_FAILURES).remove(failure)
            await unit.commit()


@asynccontextmanager
async def running(
    url: str = "memory://",
    storage: Storage | None = None,
    *,
    hashes: bool = True,
    traced: bool = False,
    handlers: Mapping[str, JobHandler] | None = None,
    clock: Clock | None = None,
    **settings: Any,
) -> AsyncIterator[Service]:
    """Run the application on a storage, given by URL or as an object; without `hashes`, passwords cost no time.

    Jobs only run if `jobs` is true, because tests count storage calls. `handlers` and `clock` replace its own. With
    `traced`, it is traced as the environment asks for it.
    """
    container = Container(settings=Settings(**{"storage": url, "jobs": False, **settings}))
    if clock is not None:
        container.clock.override(Object(clock))
    if storage is not None:
        container.storage.override(Object(storage))
    if traced:
        start_tracing(container)
    if not hashes:
        container.password_hasher.override(Object(ReadableHasher()))
    mailbox = Mailbox()
    container.mail_sender.override(Object(mailbox))
    if handlers is not None:
        container.job_handlers.override(Object(handlers))
    await container.storage().prepare()
    app = create_app(container)
    async with app.router.lifespan_context(app):
        yield Service(app, container, _document_of(app, asks_for_tokens=container.settings().asks_for_tokens), mailbox)


_documents: Final[dict[bool, Document]] = {}


def _document_of(app: FastAPI, *, asks_for_tokens: bool) -> Document:
    """Return the document of a mode. It is generated once: that is slow, and depends on no other setting."""
    if asks_for_tokens not in _documents:
        _documents[asks_for_tokens] = Document(app.openapi())
    return _documents[asks_for_tokens]


class _CheckingTransport(httpx.ASGITransport):
    def __init__(
        self, app: FastAPI, document: Document | None, peer: tuple[str, int] | None, *, raise_app_exceptions: bool
    ) -> None:
        # The signature does not allow None, with which a server reports an unknown peer.
        super().__init__(app, raise_app_exceptions, client=peer)  # type: ignore[arg-type]
        self._document = document

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        response.request = request
        await response.aread()
        assert "x-request-id" in response.headers
        if is_oauth_error(response):
            check_oauth_error(response)
        elif response.status_code >= 400 and request.method != "HEAD":
            check_problem(response)
        if self._document is not None:
            self._document.check(request, response)
        return response
