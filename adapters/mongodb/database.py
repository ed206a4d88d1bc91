import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias, TypeVar

import pymongo
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import OperationFailure, PyMongoError, ServerSelectionTimeoutError, WaitQueueTimeoutError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from adapters.mongodb import schema
from adapters.mongodb.abandoned import AbandonedSessions
from adapters.mongodb.address import client_for
from adapters.mongodb.documents import Document
from adapters.mongodb.elections import ConfirmedPrimary
from adapters.mongodb.failures import (
    NO_REPLICA_SET,
    is_conflict,
    is_retryable,
    is_timeout,
    may_have_committed,
    may_have_left_open,
    translate_error,
)
from adapters.mongodb.monitoring import ConnectionCounter, Heartbeats
from adapters.resilience import Backoff, ConnectionLimiter, ShieldedTasks, is_raised_by
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy

T = TypeVar("T")

_SELECTION_TIMEOUT_SECONDS: Final = 2  # to find a writable server, while none is known
_OPERATION_TIMEOUT_SECONDS: Final = 8
_TRANSACTION_TIMEOUT_SECONDS: Final = 6.5  # leaves time for the rollback
_MIN_TIMEOUT_SECONDS: Final = 0.1
_PREPARATION_TIMEOUT_SECONDS: Final = 600  # an index on many records takes time
_MAX_TRANSACTIONS: Final = 16  # fewer than connections, so that reads are not blocked
_MAX_PAUSE_SECONDS: Final = 0.1

# Data on the disks of a majority survive the loss of any server. A snapshot contains only such data, from one moment,
# even if the server reads it in several steps.
_DURABLE: Final = WriteConcern("majority", j=True)
_SNAPSHOT: Final = ReadConcern("snapshot")
_LINEARIZABLE: Final = ReadConcern("linearizable")


class Transaction:
    """The writes of a commit, which are invisible to others until its end."""

    def __init__(self, database: schema.Database, session: AsyncClientSession) -> None:
        self._database = database
        self.session = session

    def collection(self, name: str) -> AsyncCollection[Document]:
        return self._database[name]


TransactionCallback: TypeAlias = Callable[[Transaction], Awaitable[None]]


class Database:
    """Runs snapshot reads and transactions. Every error of the driver becomes a domain error."""

    def __init__(self, url: str, collections: Sequence[schema.Collection], on_first_use: Callable[[], object]) -> None:
        self._collections = collections
        self._on_first_use = on_first_use
        self.connections: Final = ConnectionCounter()
        self._heartbeats = Heartbeats()
        self._client, name = client_for(url, self.connections, self._heartbeats)
        self._database: schema.Database = self._client.get_database(
            name, read_concern=_SNAPSHOT, write_concern=_DURABLE, read_preference=ReadPreference.PRIMARY
        )
        self._primary = ConfirmedPrimary(self._client, lambda: schema.version(self._database, _LINEARIZABLE))
        self._abandoned = AbandonedSessions(self._client)
        self._transactions = ConnectionLimiter(_MAX_TRANSACTIONS, _OPERATION_TIMEOUT_SECONDS)
        self._tasks = ShieldedTasks()
        self._prepared = False
        self._checking: asyncio.Task[None] | None = None

    async def run(self, query: Callable[[schema.Database], Awaitable[T]]) -> T:
        """Run a query outside of any transaction; each of its commands is atomic.

        It sees every write that was acknowledged before. It runs again if another primary is elected during it.
        """
        await self._ensure_prepared()
        return await self._answer(lambda: self._primary.read(lambda: query(self._database)))

    async def write(self, work: TransactionCallback, *, one_document: bool = False) -> None:
        """Run `work` in a transaction, and repeat it after a conflict.

        A change of one document is atomic and needs no transaction, whose locks would outlive a killed process.

        A cancelled caller does not stop the transaction: an open one would block all writers of its records until the
        server aborts it after a minute.
        """
        await self._tasks.run(self._write(work, one_document))

    async def prepare(self) -> None:
        """Create what is missing, without a timeout once the server has answered.

        A newer schema was made by a newer userport and is compatible.
        """
        if await self._version() <= schema.VERSION:
            await self._answer(lambda: schema.prepare(self._database, self._collections), _PREPARATION_TIMEOUT_SECONDS)

    async def check(self) -> None:
        """Raise `StorageNotPrepared` unless the schema exists, even if it did before."""
        version = await self._version()
        was_prepared = self._prepared
        self._prepared = version > schema.VERSION or (
            version == schema.VERSION
            and await self._answer(lambda: schema.has_indexes(self._database, self._collections))
        )
        if not self._prepared:
            raise StorageNotPrepared
        if not was_prepared:
            self._on_first_use()

    async def close(self) -> None:
        await self._tasks.join()
        await self._abandoned.close()
        await self._heartbeats.pause()
        with pymongo.timeout(_SELECTION_TIMEOUT_SECONDS):  # closing sends commands to a server that may be gone
            await self._client.close()

    async def _version(self) -> int:
        return await self._answer(lambda: schema.version(self._database))

    async def _ensure_prepared(self) -> None:
        if not self._prepared:
            if self._checking is None or self._checking.done():
                self._checking = self._tasks.start(self.check())
            await asyncio.shield(self._checking)  # one check serves all concurrent callers

    async def _write(self, work: TransactionCallback, one_document: bool) -> None:
        await self._ensure_prepared()

        async def transact() -> None:
            async with self._transactions, self._client.start_session() as session:
                if one_document:
                    await work(Transaction(self._database, session))
                else:
                    await self._retry(session, work)

        await self._answer(transact)

    async def _answer(self, query: Callable[[], Awaitable[T]], seconds: float = _OPERATION_TIMEOUT_SECONDS) -> T:
        """Run a query with a timeout, and a shorter one to find the server; translate its errors."""
        try:
            if not self._client.topology_description.has_writable_server():
                with pymongo.timeout(_SELECTION_TIMEOUT_SECONDS):
                    await self._client.admin.command("ping")
            with pymongo.timeout(seconds):
                return await query()
        except ServerSelectionTimeoutError:
            raise self._selection_error() from None
        except WaitQueueTimeoutError:  # all connections are in use, or none can be made
            raise (TooBusy() if self.connections.all_in_use else StorageUnavailable()) from None
        except PyMongoError as error:
            # Suppress the driver's error, which may contain documents.
            raise translate_error(error) or StorageUnavailable(f"MongoDB fails: {type(error).__name__}") from None
        except Exception as error:
            if is_raised_by(error, "pymongo", "bson"):
                raise StorageUnavailable(f"MongoDB fails: {type(error).__name__}") from None
            raise

    async def _retry(self, session: AsyncClientSession, work: TransactionCallback) -> None:
        """Retry a transaction until success, a permanent failure or the timeout."""
        backoff = Backoff(_MAX_PAUSE_SECONDS, _TRANSACTION_TIMEOUT_SECONDS)
        lost: PyMongoError | None = None
        while True:
            try:
                return await self._attempt(session, work, backoff.seconds_left)
            except PyMongoError as error:
                if is_conflict(error):
                    lost = error
                if not is_retryable(error) or backoff.seconds_left < 0:
                    if may_have_left_open(error):
                        self._abandoned.add(session.session_id)
                    if lost and is_timeout(error) and not may_have_committed(error):
                        raise lost from None
                    raise
            await backoff.pause()

    async def _attempt(self, session: AsyncClientSession, work: TransactionCallback, seconds: float) -> None:
        # A failure is rolled back at the end of the block, outside of the timeout.
        async with await session.start_transaction(_SNAPSHOT, _DURABLE, ReadPreference.PRIMARY):
            with pymongo.timeout(max(seconds, _MIN_TIMEOUT_SECONDS)):
                await work(Transaction(self._database, session))
                await session.commit_transaction()  # the driver repeats it when the response is lost

    def _selection_error(self) -> DomainError:
        for server in self._client.topology_description.server_descriptions().values():
            if server.server_type_name == "RSGhost":  # it waits for rs.initiate()
                return StorageUnavailable(NO_REPLICA_SET)
            if isinstance(server.error, OperationFailure):  # the server was found, and rejected us
                return translate_error(server.error) or StorageUnavailable()
        return StorageUnavailable()
