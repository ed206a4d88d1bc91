from typing import Final

from adapters.dynamodb.address import parse_address
from adapters.dynamodb.belongings import Belongings
from adapters.dynamodb.commits import Commits, Write
from adapters.dynamodb.intents import Intents
from adapters.dynamodb.layout import Layout
from adapters.dynamodb.reader import Reader
from adapters.dynamodb.removals import Removals
from adapters.dynamodb.repositories import (
    DynamoDBCredentialRepository,
    DynamoDBPostRepository,
    DynamoDBUserRepository,
    Source,
)
from adapters.dynamodb.sign_ins import DynamoDBSessionRepository, DynamoDBSignInFailureRepository
from adapters.dynamodb.table import Table
from adapters.storage_plugin import StoragePlugin


class DynamoDBUnitOfWork:
    def __init__(self, source: Source, commits: Commits) -> None:
        self._commits = commits
        self._staged: list[Write] = []
        self.users = DynamoDBUserRepository(source, self._staged)
        self.posts = DynamoDBPostRepository(source, self._staged)
        self.credentials = DynamoDBCredentialRepository(source, self._staged)
        self.sessions = DynamoDBSessionRepository(source, self._staged)
        self.sign_in_failures = DynamoDBSignInFailureRepository(source, self._staged)

    async def commit(self) -> None:
        writes = self._staged.copy()
        self._staged.clear()
        if writes:
            await self._commits.commit(writes)


class DynamoDBStorage:
    """Users in one table of DynamoDB; a commit is durable on several machines when it returns."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._intents = Intents(table)
        self._removals = Removals(table, self._intents)
        reader = Reader(table, self._intents)
        self._source = Source(reader, self._removals, Belongings(reader, self._removals))
        self._commits = Commits(table, self._intents, self._removals)
        self._layout = Layout(table, self._commits)

    @classmethod
    def open(cls, url: str) -> "DynamoDBStorage":
        """Open a storage without connecting yet; raises `ValueError`, which never repeats the URL."""
        return cls(Table(parse_address(url)))

    @property
    def connections_in_use(self) -> int:
        return self._table.calls_under_way

    def unit_of_work(self) -> DynamoDBUnitOfWork:
        return DynamoDBUnitOfWork(self._source, self._commits)

    async def prepare(self) -> None:
        """Create the table, or add what one of an earlier version lacks, and finish what processes left that died."""
        await self._table.create()
        await self._intents.finish_overdue()
        await self._removals.purge_all()
        await self._layout.bring_about()

    async def ping(self) -> None:
        await self._layout.check()

    async def close(self) -> None:
        await self._table.close()


PLUGIN: Final = StoragePlugin(DynamoDBStorage.open)
