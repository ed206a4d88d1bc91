import asyncio
import logging
import re
from collections.abc import Sequence
from contextlib import suppress
from contextvars import Context
from ssl import SSLError
from typing import Final

from hiredis import ReplyError

from adapters.cache.config import CacheConfig
from adapters.cache.connection import Command, Connection, Replies

_CONNECT_TIMEOUT_SECONDS: Final = 0.5
_RECONNECT_INTERVAL_SECONDS: Final = 0.25
_EXPECTED_ERROR: Final = "WRONGTYPE"  # for a key that is blocked

_log: Final = logging.getLogger("userport.cache")


class CacheRejected(Exception):
    """Redis answers the first commands with an error; the text says what to do."""


class CacheClient:
    """Executes Redis commands over one connection, restored in the background. No call raises when Redis fails."""

    def __init__(self, config: CacheConfig, probe: Sequence[Command]) -> None:
        """`probe` are commands that Redis must accept before it is used."""
        self._config: Final = config
        self._probe: Final = probe
        self._connection: Connection | None = None
        self._connected: Final = asyncio.Event()
        self._lost: Final = asyncio.Event()
        self._tried: Final = asyncio.Event()
        self._lost_at = -float("inf")
        self._task: asyncio.Task[None] | None = None
        self._failure: str | None = None

    async def execute(self, *commands: Command, retry: bool = False) -> Replies | None:
        """Return the replies; None if Redis does not answer within 0.25 seconds, or there is no connection.

        With `retry`, wait until 0.25 seconds after a loss for a new connection, and send the commands again.
        """
        replies = await self._execute_once(commands)
        if replies is None and retry and await self._is_restored():
            replies = await self._execute_once(commands)
        return replies

    def send(self, *commands: Command) -> None:
        """Send commands without waiting for their replies."""
        if (connection := self._connection) is not None:
            connection.send(*commands).add_done_callback(
                lambda sent: None if sent.cancelled() else _check(connection, sent.result())
            )

    async def failure(self) -> str | None:
        """Return why there is no connection, once one has been tried; None if there is one."""
        await self._try()
        return self._failure

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._connection is not None:
            self._connection.abort()

    async def _execute_once(self, commands: Sequence[Command]) -> Replies | None:
        if not self._tried.is_set():
            await self._try()
        connection = self._connection
        return None if connection is None else _check(connection, await connection.send(*commands))

    async def _is_restored(self) -> bool:
        left = self._lost_at + _RECONNECT_INTERVAL_SECONDS - asyncio.get_running_loop().time()
        if left > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._connected.wait(), left)
        return self._connected.is_set()

    async def _try(self) -> None:
        if self._task is None:
            # An empty context: otherwise its log lines would carry the id of the first request.
            self._task = asyncio.create_task(self._stay_connected(), context=Context())
        await self._tried.wait()

    async def _stay_connected(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_SECONDS):
                    self._connection = await self._connect()
            except (OSError, CacheRejected) as error:  # includes TimeoutError
                self._failure = _reason(error)
                self._tried.set()
                await asyncio.sleep(_RECONNECT_INTERVAL_SECONDS)
            else:
                self._failure = None
                self._connected.set()
                self._tried.set()
                await self._lost.wait()
                _log.warning("the cache is lost: reads go to the storage until Redis answers again")

    async def _connect(self) -> Connection:
        config = self._config
        self._lost.clear()
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: Connection(self._note_loss), config.host, config.port, ssl=config.tls
        )
        try:
            replies = await connection.send(*config.login, *self._probe)
        except asyncio.CancelledError:
            connection.abort()
            raise
        error = ConnectionResetError() if replies is None or not connection.is_open else _rejection(replies)
        if error is not None:
            connection.abort()
            raise error
        return connection

    def _note_loss(self) -> None:
        if self._connection is None:  # it was being established
            return
        self._lost_at = asyncio.get_running_loop().time()
        self._connection = None
        self._connected.clear()
        self._lost.set()


def _check(connection: Connection, replies: Replies | None) -> Replies | None:
    """Return the replies. After an error that concerns more than one key, close the connection and return None."""
    if any(isinstance(reply, ReplyError) and not str(reply).startswith(_EXPECTED_ERROR) for reply in replies or ()):
        connection.abort()
        return None
    return replies


def _rejection(replies: Replies) -> CacheRejected | None:
    return next((CacheRejected(_advice(str(reply))) for reply in replies if isinstance(reply, ReplyError)), None)


def _reason(error: Exception) -> str:
    match error:
        case CacheRejected():
            return str(error)
        case SSLError():
            return "TLS with Redis fails"
        case TimeoutError():
            return "Redis does not answer"
    return "Redis cannot be reached"


def _advice(error: str) -> str:
    code = error.partition(" ")[0]
    match code:
        case "WRONGPASS" | "NOAUTH":
            return "Redis rejects the user or the password"
        case "NOPERM":
            return "Redis denies a required command or key to the user"
        case "ERR" if "syntax" in error:
            return "Redis must be 7.0 or newer"
    return f"Redis answers with the error {code}" if re.fullmatch("[A-Z]{1,20}", code) else "it is not a Redis"
