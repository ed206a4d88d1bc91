"""What clients see during a storage outage, and after a bug."""

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx
import pytest

from domain.errors import (
    DomainError,
    FieldError,
    InvalidCredentials,
    InvalidInput,
    InvalidRefreshToken,
    RefreshTokenReused,
    StorageNotPrepared,
    StorageUnavailable,
    TooBusy,
    TooManyFailures,
    TooManyMailRequests,
)
from tests.http.problems import check_problem, code_of
from tests.http.records import UNKNOWN_ID, new_user, register
from tests.http.service import Service, running
from tests.http.storages import FailingStorage
from tests.servers.choice import SERVED, Kind
from tests.servers.databases import Databases, server_kind

SECRET: Final = "postgresql://userport:Xq7marker9Zt@db.internal"
CALLS: Final = [
    ("GET", "/users", None),
    ("GET", "/users?search=a&count=true", None),
    ("POST", "/users", new_user()),
    ("GET", f"/users/{UNKNOWN_ID}", None),
    ("HEAD", f"/users/{UNKNOWN_ID}", None),
    ("PUT", f"/users/{UNKNOWN_ID}", new_user()),
    ("PATCH", f"/users/{UNKNOWN_ID}", {"name": "New"}),
    ("DELETE", f"/users/{UNKNOWN_ID}", None),
    ("GET", f"/users/{UNKNOWN_ID}/posts", None),
    ("POST", f"/users/{UNKNOWN_ID}/posts", {"title": "News", "body": "Text"}),
    ("GET", f"/posts/{UNKNOWN_ID}", None),
    ("PATCH", f"/posts/{UNKNOWN_ID}", {"title": "New"}),
    ("DELETE", f"/posts/{UNKNOWN_ID}", None),
    ("GET", "/health/ready", None),
]


@pytest.fixture(scope="module")
async def service_that_can_fail() -> AsyncIterator[Service]:
    async with running(storage=FailingStorage()) as service:
        yield service


@pytest.fixture
def storage(service_that_can_fail: Service) -> FailingStorage:
    storage = service_that_can_fail.storage
    assert isinstance(storage, FailingStorage)
    storage.failure = None
    return storage


@pytest.fixture
async def failing(service_that_can_fail: Service, storage: FailingStorage) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service whose storage fails on demand."""
    async with service_that_can_fail.connect(survives_bugs=True) as client:
        yield client


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
@pytest.mark.parametrize("failure", [StorageUnavailable, StorageNotPrepared, TooBusy])
async def test_a_store_that_is_away_or_busy_is_503_with_retry_after(
    failing: httpx.AsyncClient, storage: FailingStorage, failure: type[DomainError], method: str, path: str, body: Any
) -> None:
    storage.failure = failure(f"cannot reach {SECRET}")
    response = await failing.request(method, path, json=body)
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) >= 1
    assert "Xq7marker9Zt" not in f"{response.text} {response.headers}"


async def test_a_service_heals_with_its_store(failing: httpx.AsyncClient, storage: FailingStorage) -> None:
    for _ in range(3):
        storage.failure = StorageUnavailable()
        assert (await failing.get("/users")).status_code == 503
        assert (await failing.get("/health/ready")).status_code == 503
        storage.failure = None
        assert (await failing.get("/users")).status_code == 200
        assert (await failing.get("/health/ready")).status_code == 200


async def test_a_service_lives_without_its_store(failing: httpx.AsyncClient, storage: FailingStorage) -> None:
    storage.failure = StorageUnavailable()
    for path in ("/health/live", "/docs", "/openapi.json"):
        assert (await failing.get(path)).status_code == 200


@pytest.mark.parametrize(("method", "path", "body"), CALLS)
@pytest.mark.parametrize("failure", [RuntimeError(SECRET), KeyError(SECRET), ExceptionGroup(SECRET, [OSError(SECRET)])])
async def test_a_bug_is_a_500_that_shows_its_request_id_and_no_more(
    failing: httpx.AsyncClient,
    storage: FailingStorage,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
    method: str,
    path: str,
    body: Any,
) -> None:
    storage.failure = failure
    response = await failing.request(method, path, json=body, headers={"x-request-id": "mine"})
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "mine"
    if method != "HEAD":
        check_problem(response)
        assert "Xq7marker9Zt" not in response.text
        assert "rror" not in response.json()["detail"]
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [("mine" in record.getMessage(), record.exc_info is not None) for record in logged] == [(True, True)]


async def test_a_bug_in_one_request_leaves_the_next_one_alone(
    failing: httpx.AsyncClient, storage: FailingStorage
) -> None:
    storage.failure = RuntimeError()
    assert (await failing.get("/users")).status_code == 500
    storage.failure = None
    assert (await failing.get("/users")).status_code == 200


def _kinds(kind: type[DomainError]) -> Iterator[type[DomainError]]:
    for subclass in kind.__subclasses__():
        if subclass.__module__ == kind.__module__:  # the contract suite defines some of its own
            yield subclass
        yield from _kinds(subclass)


TOLD_BY_OAUTH: Final = {InvalidCredentials, InvalidRefreshToken, RefreshTokenReused}


@pytest.mark.parametrize("kind", sorted(set(_kinds(DomainError)) - TOLD_BY_OAUTH, key=str))
async def test_every_domain_error_has_a_status_and_a_code(storage: FailingStorage, kind: type[DomainError]) -> None:
    arguments: dict[type[DomainError], Any] = {
        InvalidInput: (FieldError("email", "blank", "must not be blank"),),
        TooManyFailures: 7,
        TooManyMailRequests: 7,
    }
    storage.failure = kind(arguments[kind]) if kind in arguments else kind()
    # No single call raises all of them, so the document does not declare them all.
    async with running(storage=storage) as service, service.connect(survives_bugs=True, documented=False) as client:
        response = await client.get("/users")
    assert response.status_code >= 400
    assert response.status_code != 500
    assert code_of(response) == kind.code


@pytest.mark.parametrize("kind", SERVED)
async def test_a_service_survives_the_outage_of_its_server(databases: Databases, kind: Kind) -> None:
    # Durable, so that the kill loses nothing.
    with databases.own_server(kind, durable=True) as server:
        async with running(server_kind(kind).create(server.url)) as service, service.connect() as client:
            await _check_outage(service, client, server.kill, server.start)


async def _check_outage(service: Service, client: httpx.AsyncClient, kill: Any, start: Any) -> None:
    user = await register(client)
    kill()
    for method, path, body in CALLS:
        response = await client.request(method, path, json=body)
        assert (response.status_code, int(response.headers["retry-after"]) >= 1) == (503, True)
    assert (await client.get("/health/live")).status_code == 200
    start()
    assert (await client.get("/health/ready")).status_code == 200
    assert (await client.get(f"/users/{user['id']}")).json() == user
    await service.empty()
