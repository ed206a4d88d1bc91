import selectors
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Protocol, cast

from redis.asyncio import Connection as PlainConnection
from redis.asyncio import SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from adapters.redis.config import RedisConfig
from adapters.resilience import ConnectionLimiter
from adapters.storage_urls import Address

_MAX_CONNECTIONS: Final = 16
_CONNECT_TIMEOUT_SECONDS: Final = 3


class Connection(Protocol):
    """The driver's connection interface, most of which has no type annotations."""

    async def connect(self) -> None: ...
    async def send_command(self, *parts: str | bytes | int) -> None: ...
    async def read_response(self) -> Any: ...
    async def disconnect(self, nowait: bool = ...) -> None: ...
    async def is_healthy(self) -> bool: ...


class _Plain(PlainConnection):
    async def is_healthy(self) -> bool:
        """Return whether the connection is open and has no unexpected input."""
        if self._writer is None or self._writer.is_closing() or await self.can_read():
            return False
        # The event loop may not have noticed it yet.
        with selectors.DefaultSelector() as selector:
            selector.register(self._writer.get_extra_info("socket"), selectors.EVENT_READ)
            return not selector.select(timeout=0)


class _Encrypted(_Plain, SSLConnection):
    pass


class Connections:
    """A pool of connections to one server or several, with a fair queue.

    The driver's own pool loses a connection when a task is cancelled while releasing it. Its client repeats a command
    whose response was lost, which is not safe for a commit.
    """

    def __init__(self, config: RedisConfig) -> None:
        self._config = config
        self._limiter = ConnectionLimiter(_MAX_CONNECTIONS)
        self._idle: defaultdict[Address, list[Connection]] = defaultdict(list)
        self._used: defaultdict[Address, set[Connection]] = defaultdict(set)

    @property
    def in_use(self) -> int:
        return self._limiter.in_use

    @property
    def idle(self) -> int:
        return sum(map(len, self._idle.values()))

    @asynccontextmanager
    async def one(self, address: Address) -> AsyncIterator[Connection]:
        """Acquire a healthy connection for the context. Raise `TooBusy` when none becomes free in time."""
        async with self._limiter, self._release_or_close(address) as connection:
            yield connection

    @asynccontextmanager
    async def _release_or_close(self, address: Address) -> AsyncIterator[Connection]:
        connection = await self._idle_one(address)
        is_open = connection is not None
        connection = connection or _connection(self._config, address)
        self._used[address].add(connection)
        try:
            if not is_open:
                await self._open(connection)
        except BaseException:
            self._used[address].discard(connection)
            await connection.disconnect(nowait=True)
            raise
        try:
            yield connection
        except ResponseError:
            self._idle[address].append(connection)  # the error was a complete response
            raise
        except BaseException:
            # A late response must never be taken for the response to another command.
            await connection.disconnect(nowait=True)
            raise
        finally:
            self._used[address].discard(connection)
        self._idle[address].append(connection)

    async def close(self, address: Address | None = None) -> None:
        """Close idle connections to one address, or to all."""
        for chosen in [address] if address else list(self._idle):
            for connection in self._idle.pop(chosen, ()):
                with suppress(RedisError):  # closing takes too long
                    await connection.disconnect()

    def are_used(self, address: Address) -> bool:
        return bool(self._used.get(address))

    async def abort(self, address: Address) -> None:
        """Close all connections to one address; pending commands fail."""
        for connection in (*self._used.pop(address, ()), *self._idle.pop(address, ())):
            await connection.disconnect(nowait=True)

    async def _idle_one(self, address: Address) -> Connection | None:
        idle = self._idle[address]
        while idle:
            connection = idle.pop()
            if await connection.is_healthy():
                return connection
            await connection.disconnect(nowait=True)
        return None

    async def _open(self, connection: Connection) -> None:
        await connection.connect()
        if self._config.master_name is not None:
            await _check_role(connection)


async def ask_once(config: RedisConfig, address: Address, *command: str) -> Any:
    """Send a command on a separate connection, which needs no free place in the pool."""
    connection = _connection(config, address)
    try:
        await connection.connect()
        await connection.send_command(*command)
        return await connection.read_response()
    finally:
        await connection.disconnect(nowait=True)


async def _check_role(connection: Connection) -> None:
    """Raise `ReadOnlyError` if the server is a replica, as a former master is after a failover."""
    await connection.send_command("ROLE")
    role, *_ = await connection.read_response()
    if role != b"master":
        raise ReadOnlyError("it is a replica now")


def _connection(config: RedisConfig, address: Address) -> Connection:
    tls: dict[str, Any] = {"ssl_ca_certs": config.ssl_ca} if config.uses_tls else {}
    connection = (_Encrypted if config.uses_tls else _Plain)(
        host=address.host,
        port=address.port,
        db=config.database,
        username=config.username,
        password=config.password,
        protocol=2,
        driver_info=None,
        socket_timeout=None,  # callers have their own timeouts
        socket_connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        **tls,
    )
    return cast("Connection", connection)
