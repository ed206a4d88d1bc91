import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeAlias

from redis.exceptions import AskError, ClusterDownError, NoScriptError, ReadOnlyError, RedisError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from adapters.redis.config import Address, RedisConfig
from adapters.redis.connections import Connection, Connections
from adapters.redis.errors import translate_error
from adapters.redis.nodes import Nodes
from adapters.redis.scripts import KEYS, VERSION, Script
from adapters.resilience import is_raised_by
from domain.errors import StorageUnavailable

Part: TypeAlias = str | bytes | int
Ask: TypeAlias = Callable[..., Awaitable[Any]]
"""Sends the parts of a command to the right node and returns the response."""

Exchange: TypeAlias = Callable[[Ask], Awaitable[Any]]

_OPERATION_TIMEOUT_SECONDS: Final = 8
_MAX_ATTEMPTS: Final = 4
_SECONDS_BETWEEN: Final = 0.05

_NO_MASTER: Final = (ClusterDownError, ReadOnlyError)
"""Errors of a node that cannot have applied anything."""


class Server:
    """Redis, on whichever node has the keys. Every failure becomes a domain error."""

    def __init__(self, config: RedisConfig) -> None:
        self.config = config
        self._keys = [config.key(name) for name in KEYS]
        self._connections = Connections(config)
        self._nodes = Nodes(config, self._ask_for_slots)

    @property
    def connections_in_use(self) -> int:
        return self._connections.in_use

    async def read(self, script: Script, *arguments: Part) -> Any:
        return await self._exchange(self._running(script, arguments), repeatable=True)

    async def write(self, script: Script, *arguments: Part) -> Any:
        """Run a script that must not run twice. If its response is lost, its outcome is unknown."""
        return await self._exchange(self._running(script, arguments), repeatable=False)

    async def command(self, *parts: Part) -> Any:
        """Send a command that may be sent twice."""
        return await self._exchange(lambda ask: ask(*parts), repeatable=True)

    async def close(self) -> None:
        await self._connections.close()

    def _running(self, script: Script, arguments: tuple[Part, ...]) -> Exchange:
        rest = (len(self._keys), *self._keys, VERSION, *arguments)

        async def run(ask: Ask) -> Any:
            try:
                return await ask("EVALSHA", script.digest, *rest)
            except NoScriptError:
                return await ask("EVAL", script.source, *rest)

        return run

    async def _exchange(self, exchange: Exchange, *, repeatable: bool) -> Any:
        try:
            async with asyncio.timeout(_OPERATION_TIMEOUT_SECONDS):
                return await self._repeated(exchange, repeatable)
        except (RedisError, OSError) as error:  # includes TimeoutError
            raise translate_error(error) from error
        except Exception as error:
            if is_raised_by(error, "redis"):
                raise StorageUnavailable from error
            raise

    async def _repeated(self, exchange: Exchange, repeatable: bool) -> Any:
        """Retry a bounded number of times, if nothing was applied or the exchange is repeatable."""
        detour: Address | None = None
        for attempts_left in reversed(range(_MAX_ATTEMPTS)):
            address, for_this_once, detour = detour or await self._nodes.master(), detour is not None, None
            sent = False
            try:
                async with self._connections.one(address) as connection:
                    sent = True
                    return await exchange(partial(_answer, connection, for_this_once))
            except AskError as error:
                if not attempts_left:
                    raise
                detour = self._nodes.follow(error, address)
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
            return await _answer(connection, False, "CLUSTER", "SLOTS")


async def _answer(connection: Connection, for_this_once: bool, *parts: Part) -> Any:
    if for_this_once:  # ASKING: the node is about to receive the slot
        await connection.send_command("ASKING")
        await connection.read_response()
    await connection.send_command(*parts)
    return await connection.read_response()
