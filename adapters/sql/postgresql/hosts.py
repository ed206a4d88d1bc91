"""Several PostgreSQL servers, of which one accepts writes."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final
from weakref import WeakSet

import asyncpg

from adapters.storage_urls import Address
from domain.errors import StorageUnavailable

TARGETS: Final = {
    "any": "SELECT true",
    "primary": "SELECT NOT pg_is_in_recovery()",
    "read-write": "SELECT NOT current_setting('transaction_read_only')::bool",
}
"""What `target_session_attrs` may be, and how to ask whether a server is that."""

NO_WRITABLE_SERVER: Final = "no PostgreSQL server in the storage URL accepts writes at the moment"

_CONNECT_TIMEOUT_SECONDS: Final = 5
_CHECK_INTERVAL_SECONDS: Final = 1  # a server that takes longer to respond may be frozen or unreachable
_FAILURES: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Hosts:
    """Connects to the first server that fits, and leaves one that another has replaced."""

    def __init__(self, hosts: Sequence[Address], target: str) -> None:
        """Raise `ValueError` for an unknown target."""
        if target not in TARGETS:
            raise ValueError(f"its option target_session_attrs must be one of: {', '.join(TARGETS)}")
        self._hosts: Final = list(hosts)
        self._target: Final = target
        self._connections: Final[dict[Address, WeakSet[asyncpg.Connection]]] = {host: WeakSet() for host in hosts}
        self._connect: Callable[..., Any] = asyncpg.connect
        self._overdue: Final[set[object]] = set()
        self._check: asyncio.Task[None] | None = None

    async def connect(self, **arguments: Any) -> asyncpg.Connection:
        """Connect, with the arguments of asyncpg's `connect`, and begin with the server that was the last to fit."""
        self._connect = partial(asyncpg.connect, **arguments)
        failures: list[Exception] = []
        for host in self._hosts.copy():
            try:
                return await self._connect_to(host)
            except (*_FAILURES, StorageUnavailable) as error:
                failures.append(error)
        raise next((error for error in failures if isinstance(error, asyncpg.PostgresError)), failures[-1])

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look for a server that has replaced this one while an operation is overdue."""
        operation = object()
        timer = asyncio.get_running_loop().call_later(_CHECK_INTERVAL_SECONDS, self._begin_check, operation)
        try:
            yield
        finally:
            timer.cancel()
            self._overdue.discard(operation)

    def close(self) -> None:
        if self._check is not None:
            self._check.cancel()

    async def _connect_to(self, host: Address) -> asyncpg.Connection:
        """Connect to one server; raise `StorageUnavailable` if it does not fit."""
        timeout = _CONNECT_TIMEOUT_SECONDS / len(self._hosts)
        async with asyncio.timeout(timeout):
            connection: asyncpg.Connection = await self._connect(host=host.host, port=host.port, timeout=timeout)
            try:
                await self._verify(connection)
            except BaseException:
                connection.terminate()
                raise
        self._connections[host].add(connection)
        if host != self._hosts[0]:
            self._move_to(host)
        return connection

    async def _verify(self, connection: asyncpg.Connection) -> None:
        await connection.execute("BEGIN")  # for a pooler in transaction mode
        fits = await connection.fetchval(TARGETS[self._target])
        await connection.execute("ROLLBACK")
        if not fits:
            raise StorageUnavailable(NO_WRITABLE_SERVER)

    def _move_to(self, host: Address) -> None:
        """Begin with this server from now on, and break off what still waits for others."""
        self._hosts.remove(host)
        self._hosts.insert(0, host)
        for other in self._hosts[1:]:
            for connection in [*self._connections[other]]:
                connection.terminate()

    def _begin_check(self, operation: object) -> None:
        self._overdue.add(operation)
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._check_hosts())

    async def _check_hosts(self) -> None:
        """Move to the server that fits; it may be the present one, which is merely slow."""
        while self._overdue:
            attempts = [asyncio.create_task(self._connect_to(host)) for host in self._hosts]
            for attempt in asyncio.as_completed(attempts):
                with suppress(*_FAILURES, StorageUnavailable):
                    (await attempt).terminate()
                    break
            for other in attempts:
                other.cancel()
            for result in await asyncio.gather(*attempts, return_exceptions=True):
                if isinstance(result, asyncpg.Connection):
                    result.terminate()
            await asyncio.sleep(_CHECK_INTERVAL_SECONDS)
