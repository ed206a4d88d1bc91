from typing import Final

from adapters.redis import scripts
from adapters.redis.durability import tell_what_could_be_lost
from adapters.redis.place import Place
from adapters.redis.repositories import (
    RedisCredentialRepository,
    RedisPostRepository,
    RedisSessionRepository,
    RedisSignInFailureRepository,
    RedisUserRepository,
)
from adapters.redis.server import Part, Server
from adapters.storage_plugin import StoragePlugin
from domain.errors import DomainError, EmailTaken, IdTaken, StaleVersion, UsernameTaken, UserNotFound

_REFUSALS: Final[dict[bytes, type[DomainError]]] = {
    error.code.encode(): error for error in (EmailTaken, IdTaken, StaleVersion, UsernameTaken, UserNotFound)
}


class RedisUnitOfWork:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._staged: list[Part] = []
        self.users = RedisUserRepository(server, self._staged)
        self.posts = RedisPostRepository(server, self._staged)
        self.credentials = RedisCredentialRepository(server, self._staged)
        self.sessions = RedisSessionRepository(server, self._staged)
        self.sign_in_failures = RedisSignInFailureRepository(server, self._staged)

    async def commit(self) -> None:
        writes = self._staged.copy()
        self._staged.clear()
        if writes:
            refusal = await self._server.write(scripts.COMMIT, *writes)
            if refusal is not None:
                raise _REFUSALS[refusal]


class RedisStorage:
    """Users in Redis; a commit is durable as far as the server's own settings make it so."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._has_told = False

    @classmethod
    def open(cls, url: str) -> "RedisStorage":
        """Open a storage without connecting yet; raises `ValueError`, which never repeats the URL."""
        return cls(Server(Place.parse(url)))

    @property
    def connections_in_use(self) -> int:
        """How many connections are taken at this moment."""
        return self._server.connections_in_use

    def unit_of_work(self) -> RedisUnitOfWork:
        return RedisUnitOfWork(self._server)

    async def prepare(self) -> None:
        beginning = "-"
        while last := await self._server.read(scripts.PREPARE, beginning):  # it writes, but may well run twice
            beginning = f"({last.decode()}"
        await self._tell_once()

    async def ping(self) -> None:
        await self._server.read(scripts.GET_USER)
        await self._tell_once()

    async def close(self) -> None:
        await self._server.close()

    async def _tell_once(self) -> None:
        if not self._has_told:
            await tell_what_could_be_lost(self._server)
            self._has_told = True


PLUGIN: Final = StoragePlugin(RedisStorage.open)
