from collections.abc import Sequence
from typing import Any, Final

from adapters.mongodb.database import Database
from adapters.mongodb.removals import Purge
from adapters.mongodb.repositories import MongoRecords, MongoUserRepository, VisibleRecords
from adapters.mongodb.schema import USERS, collection_of
from adapters.mongodb.staged_writes import Commit, Kind, StagedWrites, Write
from adapters.purging import BackgroundPurge
from adapters.storage_plugin import StoragePlugin
from domain.errors import DomainError, IdTaken, StorageNotPrepared, StorageUnavailable, TooBusy
from domain.record_types import RECORD_TYPES
from domain.records import R, RecordType


class MongoUnitOfWork:
    def __init__(self, storage: "MongoStorage") -> None:
        self._storage = storage
        self._staged = StagedWrites()
        self.users = MongoUserRepository(storage.database, self._staged)

    def records(self, record_type: RecordType[R]) -> MongoRecords[R]:
        return MongoRecords(record_type, self._storage.visible[record_type], self._staged)

    async def commit(self) -> None:
        await self._storage.commit(self._staged.take())


class MongoStorage:
    """Users and records in a replica set. A commit is on the disks of a majority when it returns."""

    def __init__(self, url: str, record_types: Sequence[RecordType[Any]] = RECORD_TYPES) -> None:
        """Open a storage without connecting. Raise `ValueError`, which never contains the URL."""
        collections = {record_type: collection_of(record_type) for record_type in record_types}
        self.database: Final = Database(url, [USERS, *collections.values()], lambda: self._background.wake())
        self._owned = [collection for collection in collections.values() if collection.owner is not None]
        self.visible: Final = {
            record_type: VisibleRecords(self.database, collection) for record_type, collection in collections.items()
        }
        self._purge = Purge(self.database)
        self._background = BackgroundPurge(self._purge.delete_batch)

    @property
    def connections_in_use(self) -> int:
        """The number of connections in use."""
        return self.database.connections.in_use

    @property
    def connections_idle(self) -> int:
        """The number of open connections that are not in use."""
        return self.database.connections.idle

    def unit_of_work(self) -> MongoUnitOfWork:
        return MongoUnitOfWork(self)

    async def commit(self, writes: Sequence[Write]) -> None:
        if not writes:
            return
        commit = Commit(writes, self._owned)
        try:
            try:
                await self._apply(commit)
            except (StorageNotPrepared, StorageUnavailable, TooBusy):
                raise
            except DomainError:
                if not commit.may_mix_up_errors:
                    raise
                # Retry one by one, to find the error of the first erroneous write.
                await self._apply(Commit(writes, self._owned, one_by_one=True))
        except IdTaken:
            added = [write.key for write in writes if write.collection is USERS and write.kind is Kind.ADD]
            if added and await self._purge.includes(added):
                raise TooBusy from None
            raise

    async def _apply(self, commit: Commit) -> None:
        await self.database.write(commit, one_document=commit.changes_one_document)
        if commit.has_hidden_records:
            self._background.wake()

    async def prepare(self) -> None:
        await self.database.prepare()

    async def ping(self) -> None:
        await self.database.check()

    async def close(self) -> None:
        await self._background.close()
        await self.database.close()


PLUGIN: Final = StoragePlugin(MongoStorage)
