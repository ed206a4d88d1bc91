from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import copy_context
from typing import Any, ClassVar, Final, TypeVar

from adapters.resilience import Backoff, ConnectionLimiter, ShieldedTasks
from domain.errors import DomainError, StorageUnavailable, TooBusy
from tortoise.context import TortoiseContext
from tortoise.exceptions import BaseORMException
from tortoise.models import Model
from tortoise.transactions import in_transaction
from tortoise.utils import generate_schema_for_client

T = TypeVar("T")

_RETRY_SECONDS: Final = 5


class Database:
    """Runs queries in a Tortoise context of its own, so that a process can have several databases.

    The module of a subclass has its models and its client, where Tortoise finds them.
    """

    user_model: ClassVar[type[Model]]
    record_model: ClassVar[type[Model]]
    max_connections: ClassVar[int]

    def __init__(self, translate: Callable[[Exception], DomainError | None], **credentials: object) -> None:
        """`translate` returns None for a violated constraint, or a mistake of this package."""
        self._translate: Final = translate
        module = type(self).__module__
        app = {"models": [module], "default_connection": module}
        connection = {"engine": module, "credentials": credentials}
        self.config: Final[Mapping[str, Any]] = {"connections": {module: connection}, "apps": {"userport": app}}
        self.limiter: Final = ConnectionLimiter(self.max_connections, timeout_seconds=10)
        self._tortoise: Final = TortoiseContext()
        self._context: Final = copy_context()
        self._context.run(self._tortoise.__enter__)
        self._tasks: Final = ShieldedTasks()
        self._closed = False

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run `work` in this database's context. Cancelling the caller does not stop it."""
        return await self._tasks.run(self._run(work), self._context.copy())

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
            except TooBusy:  # it was rolled back because of another one
                await backoff.pause()

    async def create_tables(self) -> None:
        """Create what is missing, in a transaction."""
        await generate_schema_for_client(self._tortoise.db(), safe=True)

    async def close(self) -> None:
        self._closed = True
        await self._tasks.join()
        await self._tortoise.close_connections()

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
                translated = self._translate(cause)
                if translated is None:
                    raise
                raise translated from error
