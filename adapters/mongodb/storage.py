from collections.abc import Sequence
from typing import Final

from adapters.mongodb.database import Database, Transaction, Work
from adapters.mongodb.repositories import (
    MongoCredentialRepository,
    MongoPostRepository,
    MongoSessionRepository,
    MongoSignInFailureRepository,
    MongoUserRepository,
)
from adapters.mongodb.staged_writes import Additions, StagedWrites, Write, apart
from adapters.storage_plugin import StoragePlugin
from domain.errors import EmailTaken, IdTaken, StaleVersion, UsernameTaken, UserNotFound


class MongoUnitOfWork:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._staged = StagedWrites()
        self.users = MongoUserRepository(database, self._staged)
        self.posts = MongoPostRepository(database, self._staged)
        self.credentials = MongoCredentialRepository(database, self._staged)
        self.sessions = MongoSessionRepository(database, self._staged)
        self.sign_in_failures = MongoSignInFailureRepository(database, self._staged)

    async def commit(self) -> None:
        writes = self._staged.take()
        if not writes:
            return
        try:
            one_document = len(writes) == 1 and writes[0].changes_one_document
            await self._database.write(_in_turn(writes), one_document=one_document)
        except (EmailTaken, UsernameTaken, IdTaken, UserNotFound, StaleVersion):
            if not any(isinstance(write, Additions) and write.may_mix_up_errors for write in writes):
                raise
            # One by one, for the error of the write that is in error first.
            await self._database.write(_in_turn(apart(writes)))


class MongoStorage:
    """Users in a replica set; a commit is on the disks of its majority when it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str) -> "MongoStorage":
        """Open a storage without connecting yet; raises `ValueError`, which never repeats the URL."""
        return cls(Database(url))

    @property
    def database(self) -> Database:
        return self._database

    @property
    def connections_in_use(self) -> int:
        """How many pooled connections are checked out at this moment."""
        return self._database.connections_in_use

    def unit_of_work(self) -> MongoUnitOfWork:
        return MongoUnitOfWork(self._database)

    async def prepare(self) -> None:
        await self._database.prepare()

    async def ping(self) -> None:
        await self._database.check()

    async def close(self) -> None:
        await self._database.close()


def _in_turn(writes: Sequence[Write]) -> Work:
    async def apply(transaction: Transaction) -> None:
        for write in writes:
            await write(transaction)

    return apply


PLUGIN: Final = StoragePlugin(MongoStorage.open)
