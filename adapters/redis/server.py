import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

from redis.exceptions import AskError, ClusterDownError, NoScriptError, ReadOnlyError, RedisError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from adapters.redis.connections import Connection, Connections
from adapters.redis.errors import meaning
from adapters.redis.nodes import Nodes
from adapters.redis.place import Address, Place
from adapters.redis.scripts import VERSION, Script

Part: TypeAlias = str | bytes | int

_OPERATION_TIMEOUT_SECONDS: Final = 8
_MOST_ATTEMPTS: Final = 4
_SECONDS_BETWEEN: Final = 0.05

_NO_MASTER: Final = (ClusterDownError, ReadOnlyError)
"""How a node answers that cannot have applied anything."""


class Server:
    """Redis, wherever the keys of the service are at the moment. Every failure comes out as a domain error."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._connections = Connections(place)
        self._nodes = Nodes(place, self._ask_for_slots)

    @property
    def connections_in_use(self) -> int:
        return self._connections.in_use

    async def read(self, script: Script, *arguments: Part) -> Any:
        return await self._exchange(self._running(script, arguments), repeatable=True)

    async def write(self, script: Script, *arguments: Part) -> Any:
        """Run a script that must not run twice: when its answer is lost, so is the knowledge whether it ran."""
        return await self._exchange(self._running(script, arguments), repeatable=False)

    async def command(self, *parts: Part) -> Any:
        """Send a command that may be sent twice."""
        return await self._exchange(lambda connection: _answer(connection, *parts), repeatable=True)

    async def close(self) -> None:
        await self._connections.close()

    def _running(self, script: Script, arguments: tuple[Part, ...]) -> Callable[[Connection], Awaitable[Any]]:
        keys = [self.place.key(name) for name in script.keys]
        rest = (len(keys), *keys, VERSION, *arguments)

        async def run(connection: Connection) -> Any:
            try:
                return await _answer(connection, "EVALSHA", script.digest, *rest)
            except NoScriptError:
                return await _answer(connection, "EVAL", script.source, *rest)

        return run

    async def _exchange(self, exchange: Callable[[Connection], Awaitable[Any]], *, repeatable: bool) -> Any:
        try:
            async with asyncio.timeout(_OPERATION_TIMEOUT_SECONDS):
                return await self._repeated(exchange, repeatable)
        except (RedisError, OSError) as error:  # also a TimeoutError
            raise meaning(error) from error

    async def _repeated(self, exchange: Callable[[Connection], Awaitable[Any]], repeatable: bool) -> Any:
        """Attempt at most so many times, again only where nothing can have been applied, or it does not matter."""
        asked_of: Address | None = None
        for attempts_left in reversed(range(_MOST_ATTEMPTS)):
            address = asked_of or await self._nodes.master()
            sent = False
            try:
                async with self._connections.one(address) as connection:
                    if asked_of is not None:
                        await _answer(connection, "ASKING")
                    sent = True
                    return await exchange(connection)
            except AskError as error:
                if not attempts_left:
                    raise
                asked_of = self._nodes.follow(error, address)
            except TryAgainError:
                if not attempts_left:
                    raise
                await asyncio.sleep(_SECONDS_BETWEEN)
            except (*_NO_MASTER, RedisConnectionError, RedisTimeoutError, OSError) as error:
                self._nodes.lost(address)
                await self._connections.close(address)
                nothing_applied = not sent or isinstance(error, _NO_MASTER)
                if not attempts_left or not (repeatable or nothing_applied):
                    raise
        raise AssertionError("the last attempt returns or raises")

    async def _ask_for_slots(self, address: Address) -> Any:
        async with self._connections.one(address) as connection:
            return await _answer(connection, "CLUSTER", "SLOTS")


async def _answer(connection: Connection, *parts: Part) -> Any:
    await connection.send_command(*parts)
    return await connection.read_response()
