"""Schemathesis sends valid and invalid requests according to the OpenAPI document, and validates every response.

`FUZZ_EXAMPLES=1000` sends more than the few requests per operation of a normal run.
"""

import asyncio
import os
from collections.abc import Iterator
from typing import Any, Final, Literal, TypeAlias

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import CheckContext, GenerationMode, Response, checks
from schemathesis.core.result import Ok
from schemathesis.python.asgi import shutdown_lifespans
from starlette.types import ASGIApp, Receive, Scope, Send

from entrypoints.container import Container
from entrypoints.http.app import create_app
from entrypoints.settings import Settings
from entrypoints.storage_by_url import open_storage
from tests.http.document import Document, pointer_to
from tests.http.records import new_user
from tests.servers.choice import Kind, skip_unless_chosen
from tests.servers.databases import Databases

pytestmark = pytest.mark.slow

Schema: TypeAlias = schemathesis.BaseSchema

EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "15"))
KINDS: Final[tuple[Kind | Literal["memory"], ...]] = ("memory", "sqlite")


def refused_even_when_trimmed(context: CheckContext, response: Response, case: Any) -> bool | None:
    """Assert that invalid data are rejected, unless only white space around texts makes them invalid."""
    if isinstance(case.body, dict):
        trimmed = {name: text.strip() if isinstance(text, str) else text for name, text in case.body.items()}
        document = Document(case.operation.schema.raw_schema)
        content = pointer_to("paths", case.path, case.method.lower(), "requestBody", "content", case.media_type)
        if document.validator(f"{content}/schema").is_valid(trimmed):
            return None
    refused: bool | None = checks.negative_data_rejection(context, response, case)
    return refused


CHECKS: Final = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    refused_even_when_trimmed,
    checks.unsupported_method,
    checks.allow_header_conformance,
]
WITH_INPUT: Final = [
    ("/users", "POST"),
    ("/users", "GET"),
    ("/users/{id}", "PUT"),
    ("/users/{id}", "PATCH"),
    ("/users/{id}/password", "PUT"),
    ("/users/{id}/posts", "POST"),
    ("/users/{id}/posts", "GET"),
    ("/posts/{id}", "PATCH"),
]
WITHOUT_INPUT: Final = [
    ("/users/{id}", "GET"),
    ("/users/{id}", "DELETE"),
    ("/posts/{id}", "GET"),
    ("/posts/{id}", "DELETE"),
    ("/health/live", "GET"),
    ("/health/ready", "GET"),
]


class LoopbackPeerMiddleware:
    """Makes requests look local; Schemathesis has its own peer address and host."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
            scope = {**scope, "client": ("127.0.0.1", 50000), "headers": [*headers, (b"host", b"localhost")]}
        await self._app(scope, receive, send)


@pytest.fixture(scope="module", params=KINDS)
def schema(request: pytest.FixtureRequest, databases: Databases) -> Iterator[Schema]:
    skip_unless_chosen(request.param)
    if request.param == "memory":
        yield from _running("memory://")
    else:
        with databases.fresh(request.param) as url:
            asyncio.run(_prepare(url))
            yield from _running(url)


def _running(url: str) -> Iterator[Schema]:
    # A worker would use `random` while Hypothesis draws, which it forbids.
    app = create_app(Container(settings=Settings(storage=url, jobs=False)))
    yield schemathesis.openapi.from_asgi("/openapi.json", LoopbackPeerMiddleware(app))
    shutdown_lifespans()


async def _prepare(url: str) -> None:
    # Through a separate storage: connections belong to the event loop that made them.
    storage = open_storage(url)
    await storage.prepare()
    await storage.close()


def test_every_operation_is_known_here(schema: Schema) -> None:
    known = {f"{method} {path}" for path, method in WITH_INPUT + WITHOUT_INPUT}
    assert {found.ok().label for found in schema.get_all_operations() if isinstance(found, Ok)} == known


@pytest.mark.parametrize(("path", "method"), WITH_INPUT + WITHOUT_INPUT)
def test_what_is_allowed_is_answered_as_documented(schema: Schema, path: str, method: str) -> None:
    _send(schema, path, method, GenerationMode.POSITIVE)


@pytest.mark.parametrize(("path", "method"), WITH_INPUT)
def test_what_is_forbidden_is_refused_as_documented(schema: Schema, path: str, method: str) -> None:
    _send(schema, path, method, GenerationMode.NEGATIVE)


def _send(schema: Schema, path: str, method: str, mode: GenerationMode) -> None:
    operation = schema[path][method]
    # The responses after a deletion could only be seen once.
    known = _known_id(schema, path) if "{id}" in path and method != "DELETE" else {}

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(mode, **known))
    def send(case: Any) -> None:
        case.call_and_validate(checks=CHECKS)

    send()


def _known_id(schema: Schema, path: str) -> dict[str, Any]:
    user = schema["/users"]["POST"].Case(body=new_user()).call().json()
    if path.startswith("/users"):
        return {"path_parameters": {"id": user["id"]}}
    posts = schema["/users/{id}/posts"]["POST"]
    post = posts.Case(path_parameters={"id": user["id"]}, body={"title": "News", "body": "Text"}).call().json()
    return {"path_parameters": {"id": post["id"]}}
