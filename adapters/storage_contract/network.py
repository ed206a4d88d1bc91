import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

import pytest

from adapters.storage_contract.faulty_proxy import Endpoint, Fault, FaultyProxy
from adapters.storage_contract.persistence import CALLS
from domain.errors import StorageUnavailable
from domain.storage import Storage

MAX_SECONDS: Final = 30
"""For all calls at once. A storage gives up on a silent server sooner, but the machine may be busy."""

_CLIENTS: Final = 3  # no pool may have more calls than connections, which would be `TooBusy`


class WrongServerCases:
    """Each call raises `StorageUnavailable`, in time, when another service listens at the server's address."""

    @pytest.fixture
    def open_at(self) -> Callable[[int], Storage]:
        raise NotImplementedError

    async def test_an_address_where_something_else_answers_is_unavailable(
        self, open_at: Callable[[int], Storage]
    ) -> None:
        async def check_fault(fault: Fault) -> None:
            with FaultyProxy(fault=fault) as other_server:
                async with _open_clients(open_at, other_server.port) as clients:
                    _check_unavailable(await _call_all_at_once(clients))

        async with asyncio.timeout(MAX_SECONDS), asyncio.TaskGroup() as tasks:
            for fault in set(Fault) - {Fault.CUT}:
                tasks.create_task(check_fault(fault), name=fault.value)


class OutageCases:
    """Each call raises `StorageUnavailable`, in time, while the server fails in any way, and works afterwards."""

    @pytest.fixture
    def server(self) -> Endpoint:
        raise NotImplementedError

    @pytest.fixture
    def open_at(self) -> Callable[[int], Storage]:
        raise NotImplementedError

    def connections_in_use(self, storage: Storage) -> int:
        raise NotImplementedError

    async def test_a_server_that_fails_is_unavailable_until_it_is_back(
        self, storage: Storage, server: Endpoint, open_at: Callable[[int], Storage]
    ) -> None:
        async def check_fault(fault: Fault) -> None:
            with FaultyProxy(server) as proxy:
                async with _open_clients(open_at, proxy.port) as clients:
                    await _call_one_by_one(clients)
                    proxy.fault = fault
                    _check_unavailable(await _call_all_at_once(clients))
                    proxy.fault = None
                    await _call_one_by_one(clients)
                    while any(map(self.connections_in_use, clients)):  # noqa: ASYNC110 - a purge may be looking
                        await asyncio.sleep(0.01)

        async with asyncio.timeout(MAX_SECONDS), asyncio.TaskGroup() as tasks:
            # asyncpg reads zeros in an endless loop that blocks the event loop.
            for fault in set(Fault) - {Fault.ZEROS}:
                tasks.create_task(check_fault(fault), name=fault.value)


@asynccontextmanager
async def _open_clients(open_at: Callable[[int], Storage], port: int) -> AsyncIterator[Sequence[Storage]]:
    async with AsyncExitStack() as stack:
        clients = [open_at(port) for _ in range(_CLIENTS)]
        for client in clients:
            stack.push_async_callback(client.close)
        yield clients


async def _call_one_by_one(clients: Sequence[Storage]) -> None:
    for number, call in enumerate(CALLS.values()):
        await call(clients[number % _CLIENTS])


async def _call_all_at_once(clients: Sequence[Storage]) -> Mapping[str, object]:
    """Return what each call returned or raised."""
    calls = (call(clients[number % _CLIENTS]) for number, call in enumerate(CALLS.values()))
    return dict(zip(CALLS, await asyncio.gather(*calls, return_exceptions=True), strict=True))


def _check_unavailable(outcomes: Mapping[str, object]) -> None:
    assert {name: outcome for name, outcome in outcomes.items() if type(outcome) is not StorageUnavailable} == {}
