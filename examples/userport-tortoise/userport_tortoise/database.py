import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import copy_context
from typing import Any, ClassVar, Final, TypeVar

from adapters.resilience import Backoff, ConnectionLimiter
from domain.errors import DomainError, StorageUnavailable, TooBusy
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.context import TortoiseContext
from tortoise.exceptions import BaseORMException
from tortoise.migrations.executor import MigrationExecutor
from tortoise.migrations.recorder import MigrationRecorder
from tortoise.migrations.schema_editor import BaseSchemaEditor
from tortoise.transactions import in_transaction

from userport_tortoise.models import RecordModel, UserModel

T = TypeVar("T")

_RETRY_SECONDS: Final = 5


class Conflict(TooBusy):
    """The transaction was rolled back because of another one, and can be repeated."""


class Database(ABC):
    """Runs queries in a Tortoise context of its own, so that a process can have several databases.

    The module of a subclass has its models and its client, as Tortoise gives both one dialect.
    """

    user_model: ClassVar[type[UserModel]]
    record_model: ClassVar[type[RecordModel]]
    schema_editor: ClassVar[type[BaseSchemaEditor]]
    max_connections: ClassVar[int]

    def __init__(self, **credentials: object) -> None:
        module = type(self).__module__
        app = {"models": [module], "default_connection": module, "migrations": "userport_tortoise.migrations"}
        connection = {"engine": module, "credentials": credentials}
        self.config: Final[Mapping[str, Any]] = {"connections": {module: connection}, "apps": {"userport": app}}
        self.limiter: Final = ConnectionLimiter(self.max_connections, timeout_seconds=10)
        self._tortoise: Final = TortoiseContext()
        self._context: Final = copy_context()
        self._context.run(self._tortoise.__enter__)
        self._tasks: Final = set[asyncio.Task[Any]]()
        self._closed = False

    @abstractmethod
    async def lock_schema(self, connection: BaseDBAsyncClient) -> None:
        """Let one transaction at a time migrate."""

    @abstractmethod
    def translate(self, error: Exception) -> DomainError | None:
        """Return what a driver's error means, unless it is a violated constraint or a mistake of this package."""

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` in a task of this database's context. Cancelling the caller does not stop it."""
        task = asyncio.create_task(self._run(work), context=self._context.copy())
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return await asyncio.shield(task)

    async def transact(self, steps: Sequence[Callable[[], Awaitable[object]]]) -> None:
        """Take steps in a transaction, again if another one gets in its way."""

        async def attempt() -> None:
            async with in_transaction():
                for step in steps:
                    await step()

        backoff = Backoff(0.2, _RETRY_SECONDS)
        while True:
            try:
                return await self.run(attempt)
            except Conflict:
                await backoff.pause()

    async def migrate(self) -> None:
        async def migrate() -> None:
            connection = self._tortoise.db()
            await self.lock_schema(connection)
            # The executor reads its table before it creates it. That would fail, and end a transaction of PostgreSQL.
            await MigrationRecorder(connection).ensure_schema(self.schema_editor(connection))
            await MigrationExecutor(connection, self.config["apps"]).migrate()

        await self.transact([migrate])

    async def close(self) -> None:
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._tortoise.close_connections()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        task.exception()  # it is retrieved, even if the caller was cancelled

    async def _run(self, work: Callable[[], Awaitable[T]]) -> T:
        async with self.limiter:
            if self._closed:
                raise StorageUnavailable
            try:
                if not self._tortoise.inited:
                    await self._tortoise.init(dict(self.config))
                await self._tortoise.db().create_connection(with_db=True)  # within a query, failing would leave a lock
                return await work()
            except Exception as error:
                cause = error.args[0] if isinstance(error, BaseORMException) and error.args else error
                meaning = self.translate(cause)
                if meaning is None:
                    raise
                raise meaning from error
