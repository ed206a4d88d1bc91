from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import httpx
import pytest

from tests.application.fakes import ManualClock
from tests.http.service import Service, running
from tests.http.sign_in_helpers import SIGNING_KEY
from tests.servers.choice import KINDS, Kind, is_chosen, skip_unless_chosen
from tests.servers.databases import Databases
from tests.servers.pgbouncer import PgbouncerProcess, PoolMode

Store: TypeAlias = Kind | PoolMode | Literal["memory"]
"""A kind of store, or PostgreSQL by a pooler in this mode."""

_MAX_ID_LENGTH: Final = 40

STORES: Final[tuple[Store, ...]] = (*(("memory",) if is_chosen("memory") else ()), *KINDS)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Keep texts of thousands of characters out of test names."""
    if isinstance(val, str) and len(val) > _MAX_ID_LENGTH:
        return f"{argname}-of-{len(val)}-characters"
    return None


_POOL_MODES: Final[tuple[PoolMode, ...]] = ("session", "transaction") if is_chosen("postgresql") else ()
_EMBEDDED: Final = ("memory", "sqlite")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test of the service on memory, in slow runs also on SQLite; one of `every_store` on all others too.

    The contract covers storage itself. Runs with clusters also go through a pooler, in both of its modes.
    """
    if "store_url" not in metafunc.fixturenames:
        return
    every_store = metafunc.definition.get_closest_marker("every_store") is not None
    stores = [store for store in STORES if every_store or store in _EMBEDDED]
    params = [
        *stores[:1],
        *(pytest.param(store, marks=pytest.mark.slow) for store in stores[1:]),
        *(pytest.param(mode, marks=[pytest.mark.slow, pytest.mark.cluster]) for mode in _POOL_MODES),
    ]
    metafunc.parametrize("store_url", params, indirect=True, scope="session")


@pytest.fixture(scope="session")
def store_url(request: pytest.FixtureRequest, databases: Databases) -> Iterator[str]:
    """The URL of an empty store of each kind in turn."""
    store: Store = request.param
    if store == "session" or store == "transaction":
        with databases.fresh("postgresql") as url, PgbouncerProcess(url, store) as pooler:
            yield pooler.url
        return
    skip_unless_chosen(store)
    if store == "memory":
        yield "memory://"
    else:
        with databases.fresh(store) as url:
            yield url


@pytest.fixture(scope="session")
async def service_on_store(store_url: str) -> AsyncIterator[Service]:
    async with running(store_url) as service:
        yield service


@pytest.fixture
async def service(service_on_store: Service) -> Service:
    """The application on an empty store of each kind in turn."""
    await service_on_store.empty()
    return service_on_store


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `service`."""
    async with service.connect() as client:
        yield client


@pytest.fixture(scope="session")
async def token_service_on_store(store_url: str) -> AsyncIterator[Service]:
    async with running(store_url, hashes=False, signing_key=SIGNING_KEY) as service:
        yield service


@pytest.fixture
async def token_service(token_service_on_store: Service) -> Service:
    """The application in token mode, on an empty store of each kind in turn."""
    await token_service_on_store.empty()
    return token_service_on_store


@pytest.fixture
async def token_client(token_service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `token_service`."""
    async with token_service.connect() as client:
        yield client


@pytest.fixture(scope="session")
async def token_service_in_memory() -> AsyncIterator[Service]:
    async with running(hashes=False, signing_key=SIGNING_KEY) as service:
        yield service


@pytest.fixture
async def memory_token_service(token_service_in_memory: Service) -> Service:
    """The application in token mode, in memory."""
    await token_service_in_memory.empty()
    return token_service_in_memory


@pytest.fixture
def clock() -> ManualClock:
    """The clock of `clocked_token_service`, at the present time."""
    clock = ManualClock()
    clock.time = datetime.now(UTC)
    return clock


@pytest.fixture
async def clocked_token_service(clock: ManualClock) -> AsyncIterator[Service]:
    """An application in token mode, in memory, whose time a test moves."""
    async with running(hashes=False, signing_key=SIGNING_KEY, clock=clock) as service:
        yield service


@pytest.fixture
async def memory_token_client(memory_token_service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `memory_token_service`."""
    async with memory_token_service.connect() as client:
        yield client


@pytest.fixture
def short_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the duration of a failed sign-in and the caching of tokens, so that tests need not wait."""
    monkeypatch.setattr("application.sign_in.service._MIN_FAILURE_SECONDS", 0.0)
    monkeypatch.setattr("application.sessions.token_authenticator._CACHE_SECONDS", 0.1)


@pytest.fixture(scope="session")
async def service_in_memory() -> AsyncIterator[Service]:
    async with running() as service:
        yield service


@pytest.fixture
async def memory_service(service_in_memory: Service) -> Service:
    """The application in memory, for behaviour that does not depend on the store."""
    await service_in_memory.empty()
    return service_in_memory


@pytest.fixture
async def memory_client(memory_service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `memory_service`."""
    async with memory_service.connect() as client:
        yield client
