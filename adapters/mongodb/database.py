import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias, TypeVar

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
from adapters.mongodb.connections import CountedConnections
from adapters.mongodb.documents import Document
from adapters.mongodb.failures import (
    NO_REPLICA_SET,
    lost_to_others,
    may_be_repeated,
    may_have_committed,
    may_have_left_open,
    meaning,
    ran_out_of_time,
)
from adapters.mongodb.heartbeats import Heartbeats
from adapters.resilience import is_raised_by
from domain.errors import DomainError, StorageNotPrepared, StorageUnavailable, TooBusy

T = TypeVar("T")
Filter: TypeAlias = Mapping[str, Any]

_SEARCH_TIMEOUT_SECONDS: Final = 2  # for a server that can be written to, while none is known
_OPERATION_TIMEOUT_SECONDS: Final = 8
_TRANSACTION_TIMEOUT_SECONDS: Final = 6.5  # with time left to roll it back
_SHORTEST_TIMEOUT_SECONDS: Final = 0.1
_PREPARATION_TIMEOUT_SECONDS: Final = 600  # an index on many records takes its time
_TRANSACTIONS_AT_ONCE: Final = 16  # fewer than there are connections, so that reads go on
_LONGEST_PAUSE_SECONDS: Final = 0.1

# What a majority has on disk is not lost with any one server. A snapshot is of such data, too; and it is of one moment,
# which what is read in several steps would otherwise not be.
_DURABLE: Final = WriteConcern("majority", j=True)
_ONE_MOMENT: Final = ReadConcern("snapshot")


class Transaction:
    """What a commit writes to; nobody else sees any of it before the end."""

    def __init__(self, database: schema.Database, session: AsyncClientSession) -> None:
        self._database = database
        self.session = session

    def collection(self, name: str) -> AsyncCollection[Document]:
        return self._database[name]


Work: TypeAlias = Callable[[Transaction], Awaitable[None]]


class Database:
    """Reads that are each of one moment, and transactions. Every failure comes out as a domain error."""

    def __init__(self, url: str) -> None:
        self._connections = CountedConnections()
        self._heartbeats = Heartbeats()
        self._client, name = client_for(url, self._connections, self._heartbeats)
        self._database: schema.Database = self._client.get_database(
            name, read_concern=_ONE_MOMENT, write_concern=_DURABLE, read_preference=ReadPreference.PRIMARY
        )
        self._abandoned = AbandonedSessions(self._client)
        self._room = asyncio.Semaphore(_TRANSACTIONS_AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()
        self._prepared = False

    @property
    def connections_in_use(self) -> int:
        return self._connections.in_use

    async def document(self, collection: str, wanted: Filter) -> Document | None:
        return await self._read(lambda: self._database[collection].find_one(wanted))

    async def documents(self, collection: str, wanted: Filter, limit: int | None = None) -> Sequence[Document]:
        """Read all, or up to `limit`, in no particular order."""
        return await self._find(collection, wanted, limit)

    async def page(
        self, collection: str, wanted: Filter, limit: int | None = None, descending: bool = False, skip: int = 0
    ) -> Sequence[Document]:
        """Read in the order of the ids, all or up to `limit`, behind the first `skip`."""
        order = pymongo.DESCENDING if descending else pymongo.ASCENDING
        return await self._find(collection, wanted, limit, sort=[("_id", order)], skip=skip)

    async def count(self, collection: str, wanted: Filter) -> int:
        return await self._read(lambda: self._database[collection].count_documents(wanted))

    async def write(self, work: Work, *, one_document: bool = False) -> None:
        """Run `work` in a transaction, and again when it lost to another one.

        What changes one document is all or nothing by itself. It goes without a transaction, since one that is open
        while its process is killed locks its records until the server gives it up.

        A caller who is cancelled does not take it along: a transaction that is left in the middle would hold up
        everybody who writes to the same records, until the server gives it up after a minute.
        """
        task = asyncio.create_task(self._write(work, one_document))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.shield(task)

    async def prepare(self) -> None:
        """Create what is missing, however long it takes once the server has answered.

        A schema that is newer was made by a newer userport, which sees to it that this one can go on with it.
        """
        if await self._version() <= schema.VERSION:
            await self._answer(lambda: schema.prepare(self._database), _PREPARATION_TIMEOUT_SECONDS)

    async def check(self) -> None:
        """Raise `StorageNotPrepared` unless the schema is there, even if it was before."""
        version = await self._version()
        self._prepared = version > schema.VERSION or (
            version == schema.VERSION and await self._answer(lambda: schema.has_indexes(self._database))
        )
        if not self._prepared:
            raise StorageNotPrepared

    async def close(self) -> None:
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._abandoned.close()
        await self._heartbeats.pause()
        with pymongo.timeout(_SEARCH_TIMEOUT_SECONDS):  # it says good-bye to a server that may not be there
            await self._client.close()

    async def _version(self) -> int:
        return await self._answer(lambda: schema.version(self._database))

    async def _need_schema(self) -> None:
        if not self._prepared:
            await self.check()

    async def _read(self, query: Callable[[], Awaitable[T]]) -> T:
        await self._need_schema()
        return await self._answer(query)

    async def _find(self, collection: str, wanted: Filter, limit: int | None, **options: Any) -> Sequence[Document]:
        if limit == 0:  # which MongoDB takes for no limit
            return []
        if limit is not None:
            # In one answer, unless that is too big: by itself, the server would begin with a hundred.
            options |= {"limit": limit, "batch_size": limit}
        return await self._read(lambda: self._database[collection].find(wanted, **options).to_list())

    async def _write(self, work: Work, one_document: bool) -> None:
        await self._need_schema()

        async def transact() -> None:
            async with self._one_of_few(), self._client.start_session() as session:
                if one_document:
                    await work(Transaction(self._database, session))
                else:
                    await self._repeated(session, work)

        await self._answer(transact)

    async def _answer(self, query: Callable[[], Awaitable[T]], seconds: float = _OPERATION_TIMEOUT_SECONDS) -> T:
        """Give the server some time to answer, but less to be found, and translate how it failed."""
        try:
            if not self._client.topology_description.has_writable_server():
                with pymongo.timeout(_SEARCH_TIMEOUT_SECONDS):
                    await self._client.admin.command("ping")
            with pymongo.timeout(seconds):
                return await query()
        except ServerSelectionTimeoutError:
            raise self._why_there_is_no_server() from None
        except WaitQueueTimeoutError:  # for a connection that is in use, or for one that cannot be made
            raise (TooBusy() if self._connections.all_in_use else StorageUnavailable()) from None
        except PyMongoError as error:
            # Without the driver's error, which may hold what was to be written.
            raise meaning(error) or StorageUnavailable(f"MongoDB fails: {type(error).__name__}") from None
        except Exception as error:
            if is_raised_by(error, "pymongo", "bson"):
                raise StorageUnavailable(f"MongoDB fails: {type(error).__name__}") from None
            raise

    async def _repeated(self, session: AsyncClientSession, work: Work) -> None:
        """Attempt until it succeeds, fails for good or takes too long."""
        clock = asyncio.get_running_loop().time
        deadline = clock() + _TRANSACTION_TIMEOUT_SECONDS
        lost: PyMongoError | None = None
        failures = 0
        while True:
            try:
                return await self._attempt(session, work, deadline - clock())
            except PyMongoError as error:
                if lost_to_others(error):
                    lost = error
                if not may_be_repeated(error) or clock() > deadline:
                    if may_have_left_open(error):
                        self._abandoned.add(session.session_id)
                    if lost and ran_out_of_time(error) and not may_have_committed(error):
                        raise lost from None
                    raise
            failures += 1
            # Rivals part by chance; nothing is to be kept secret here.
            await asyncio.sleep(random.uniform(0, min(_LONGEST_PAUSE_SECONDS, 0.002 * 2**failures)))  # noqa: S311

    async def _attempt(self, session: AsyncClientSession, work: Work, seconds: float) -> None:
        # What fails is rolled back at the end of the block, for which there is some time left then.
        async with await session.start_transaction(_ONE_MOMENT, _DURABLE, ReadPreference.PRIMARY):
            with pymongo.timeout(max(seconds, _SHORTEST_TIMEOUT_SECONDS)):
                await work(Transaction(self._database, session))
                await session.commit_transaction()  # repeated by the driver when its answer is lost

    @asynccontextmanager
    async def _one_of_few(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(_OPERATION_TIMEOUT_SECONDS):
                await self._room.acquire()
        except TimeoutError:
            raise TooBusy from None
        try:
            yield
        finally:
            self._room.release()

    def _why_there_is_no_server(self) -> DomainError:
        for server in self._client.topology_description.server_descriptions().values():
            if server.server_type_name == "RSGhost":  # it waits for rs.initiate()
                return StorageUnavailable(NO_REPLICA_SET)
            if isinstance(server.error, OperationFailure):  # it was found, and refused us
                return meaning(server.error) or StorageUnavailable()
        return StorageUnavailable()
