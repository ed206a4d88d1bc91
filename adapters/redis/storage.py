from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any, Final

from adapters.purging import BackgroundPurge, BatchSize
from adapters.redis import scripts
from adapters.redis.config import RedisConfig
from adapters.redis.durability import warn_about_durability
from adapters.redis.encoding import USERS
from adapters.redis.repositories import RedisRecords, RedisUserRepository
from adapters.redis.server import Part, Server
from adapters.storage_plugin import StoragePlugin
from adapters.tls import check_authorities
from domain.errors import DomainError, EmailTaken, IdTaken, StaleVersion, TooBusy, UsernameTaken, UserNotFound
from domain.record_types import RECORD_TYPES
from domain.records import R, RecordType

_CONFLICT_ERRORS: Final[dict[str, type[DomainError]]] = {
    **{error.code: error for error in (IdTaken, StaleVersion, UserNotFound, TooBusy)},
    f"{USERS}:email": EmailTaken,
    f"{USERS}:username": UsernameTaken,
}


class RedisUnitOfWork:
    def __init__(
        self, server: Server, conflict_errors: Mapping[str, type[DomainError]], purge: BackgroundPurge
    ) -> None:
        self._server = server
        self._conflict_errors = conflict_errors
        self._purge = purge
        self._staged: list[Part] = []
        self.users = RedisUserRepository(server, self._staged)

    def records(self, record_type: RecordType[R]) -> RedisRecords[R]:
        return RedisRecords(record_type, self._server, self._staged)

    async def commit(self) -> None:
        writes = self._staged.copy()
        self._staged.clear()
        if not writes:
            return
        answer = await self._server.write(scripts.COMMIT, *writes)
        if isinstance(answer, bytes):
            raise self._conflict_errors[answer.decode()]
        if answer:
            self._purge.wake()


class RedisStorage:
    """Users and records in Redis. The server's own settings decide how durable a commit is."""

    def __init__(self, server: Server, record_types: Sequence[RecordType[Any]] = RECORD_TYPES) -> None:
        self._server = server
        self._conflict_errors = _CONFLICT_ERRORS | {
            f"{record_type.name}:{field}": error
            for record_type in record_types
            for field, error in record_type.unique.items()
        }
        self._purge = BackgroundPurge(self._purge_batch)
        self._batch_size = BatchSize()
        self._is_used = False
        self._has_warned = False

    @classmethod
    def open(cls, url: str, record_types: Sequence[RecordType[Any]] = RECORD_TYPES) -> "RedisStorage":
        """Open a storage without connecting. Raise `ValueError`, which never contains the URL."""
        config = RedisConfig.parse(url)
        if config.ssl_ca is not None:
            check_authorities("the file of its option ssl_ca", config.ssl_ca)
        return cls(Server(config), record_types)

    @property
    def connections_in_use(self) -> int:
        """The number of connections in use."""
        return self._server.connections.in_use

    @property
    def connections_idle(self) -> int:
        """The number of open connections that are not in use."""
        return self._server.connections.idle

    def unit_of_work(self) -> RedisUnitOfWork:
        if not self._is_used:
            self._is_used = True
            self._purge.wake()  # another process may have stopped before it had deleted everything
        return RedisUnitOfWork(self._server, self._conflict_errors, self._purge)

    async def prepare(self) -> None:
        await self._server.read(scripts.PREPARE)  # it writes, but may run twice
        await self._warn_once()

    async def ping(self) -> None:
        await self._server.read(scripts.GET)
        await self._warn_once()

    async def close(self) -> None:
        await self._purge.close()
        await self._server.close()

    async def _purge_batch(self) -> bool:
        started = monotonic()
        # It writes, but may run any number of times.
        users_left = await self._server.read(scripts.PURGE, self._batch_size.records)
        self._batch_size.adapt(monotonic() - started)
        return bool(users_left)

    async def _warn_once(self) -> None:
        if not self._has_warned:
            await warn_about_durability(self._server)
            self._has_warned = True


PLUGIN: Final = StoragePlugin(RedisStorage.open)
