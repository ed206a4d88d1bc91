import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, TypeAlias

from redis.exceptions import (
    AskError,
    ClusterDownError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from adapters.redis.config import RedisConfig
from adapters.redis.connections import Connection, Connections
from adapters.redis.errors import translate_error
from adapters.redis.nodes import MasterLocator
from adapters.redis.scripts import KEYS, VERSION, Script
from adapters.resilience import is_raised_by
from adapters.storage_urls import Address
from domain.errors import StorageUnavailable

Part: TypeAlias = str | bytes | int
Ask: TypeAlias = Callable[..., Awaitable[Any]]
"""Sends the parts of a command to the right node and returns the response."""

Exchange: TypeAlias = Callable[[Ask], Awaitable[Any]]

_OPERATION_TIMEOUT_SECONDS: Final = 8
_REPLICAS_TIMEOUT_SECONDS: Final = 5
_MASTER_CHECK_INTERVAL_SECONDS: Final = 1  # a master that takes longer to respond may be frozen
_MAX_ATTEMPTS: Final = 4
_SECONDS_BETWEEN: Final = 0.05

_NO_MASTER: Final = (ClusterDownError, ReadOnlyError)
"""Errors of a node that cannot have applied anything."""


class Server:
    """Redis, on whichever node has the keys. Every failure becomes a domain error."""

    def __init__(self, config: RedisConfig) -> None:
        self.config = config
        self._keys = [config.key(name) for name in KEYS]
        self.connections: Final = Connections(config)
        self._nodes = MasterLocator(config)
        self._checks: dict[Address, asyncio.Task[None]] = {}

    async def read(self, script: Script, *arguments: Part) -> Any:
        return await self._exchange(self._running(script, arguments), repeatable=True)

    async def write(self, script: Script, *arguments: Part) -> Any:
        """Run a script that must not run twice. If its response is lost, its outcome is unknown.

        Raise `StorageUnavailable` if fewer replicas receive its writes in time than the URL demands.
        """
        run = self._running(script, arguments)

        async def run_on_replicas(ask: Ask) -> Any:
            answer = await run(ask)
            wanted = self.config.replicas
            if await ask("WAIT", wanted, 1_000 * _REPLICAS_TIMEOUT_SECONDS) < wanted:
                raise StorageUnavailable("too few replicas of this Redis received the commit in time")
            return answer

        return await self._exchange(run_on_replicas if self.config.replicas else run, repeatable=False)

    async def command(self, *parts: Part) -> Any:
        """Send a command that may be sent twice."""
        return await self._exchange(lambda ask: ask(*parts), repeatable=True)

    async def close(self) -> None:
        for check in self._checks.values():
            check.cancel()
        await self.connections.close()

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
        target: Address | None = None
        for attempts_left in reversed(range(_MAX_ATTEMPTS)):
            address, asking, target = target or await self._nodes.master(), target is not None, None
            sent = False
            try:
                with self._watched(address):
                    async with self.connections.one(address) as connection:
                        sent = True
                        return await exchange(partial(_answer, connection, asking))
            except asyncio.CancelledError:  # perhaps by the timeout, because the master is frozen
                self._nodes.mark_unavailable(address)
                raise
            except AskError as error:
                if not attempts_left:
                    raise
                target = self._nodes.follow(error, address)
            except TryAgainError:
                if not attempts_left:
                    raise
                await asyncio.sleep(_SECONDS_BETWEEN)
            except (*_NO_MASTER, RedisConnectionError, RedisTimeoutError, OSError) as error:
                self._nodes.mark_unavailable(address)
                await self.connections.close(address)
                nothing_applied = not sent or isinstance(error, _NO_MASTER)
                if not attempts_left or not (repeatable or nothing_applied):
                    raise
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def _watched(self, address: Address) -> Iterator[None]:
        """Look for another master while the response is overdue; close the connection if there is one."""
        if not self.config.may_move:
            yield
            return
        timer = asyncio.get_running_loop().call_later(_MASTER_CHECK_INTERVAL_SECONDS, self._check_master, address)
        try:
            yield
        finally:
            timer.cancel()

    def _check_master(self, address: Address) -> None:
        if address not in self._checks:
            self._checks[address] = check = asyncio.create_task(self._leave_if_replaced(address))
            check.add_done_callback(lambda _: self._checks.pop(address, None))

    async def _leave_if_replaced(self, address: Address) -> None:
        while self.connections.are_used(address):
            self._nodes.mark_unavailable(address)
            with suppress(Exception):  # try again after the next interval
                if await self._nodes.master() != address:
                    await self.connections.abort(address)
            await asyncio.sleep(_MASTER_CHECK_INTERVAL_SECONDS)


async def _answer(connection: Connection, asking: bool, *parts: Part) -> Any:
    if asking:  # ASKING: the node is about to receive the slot
        await connection.send_command("ASKING")
        await connection.read_response()
    await connection.send_command(*parts)
    return await connection.read_response()
