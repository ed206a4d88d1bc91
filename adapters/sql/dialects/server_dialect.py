from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import URL, ExceptionContext, event
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.ext.asyncio import create_async_engine

from adapters.sql.connections import Pools
from adapters.sql.dialects.dialect import ENGINE_OPTIONS, READING, Dialect
from adapters.sql.dialects.server_connections import ServerConnections


class ServerDialect(Dialect):
    """A database on a server, by an asynchronous driver.

    Kept apart from `Dialect`, since the asynchronous part of SQLAlchemy brings its ORM along and starts slowly.
    """

    read_connections: ClassVar = 8
    write_connections: ClassVar = 6
    shared_write_connections: ClassVar = 2

    @abstractmethod
    def driver_url(self, url: URL) -> URL:
        """Translate userport's URL into the driver's; raises `ValueError`, which repeats no value of it."""

    @staticmethod
    def check_database(url: URL) -> None:
        """Raise `ValueError` unless the URL names a database; a server would choose one, and not say which."""
        if not url.database:
            raise ValueError("it names no database; write scheme://user:password@host:port/database")

    @abstractmethod
    def connect_args(self, *, waits: bool) -> Mapping[str, Any]:
        """Arguments for the driver's `connect`; one that hardly `waits` gives up soon when a lock is held."""

    def is_garbled(self, error: DBAPIError) -> bool:
        """Return whether the driver could not read what the server sent, so that its connection is of no use."""
        return False

    def connect(self, url: URL) -> Pools:
        driver_url = self.driver_url(url)

        def pool(size: int, *, waits: bool = True, **options: Any) -> ServerConnections:
            arguments = dict(self.connect_args(waits=waits))
            engine = create_async_engine(
                driver_url, pool_size=size, connect_args=arguments, **ENGINE_OPTIONS, **options
            )
            event.listen(engine.sync_engine, "handle_error", self._discard_broken)
            return ServerConnections(engine, size)

        reads = pool(self.read_connections, **READING)
        shared_writes = pool(self.shared_write_connections, waits=False)
        return Pools(pool(self.write_connections), shared_writes, reads, reads)

    def _discard_broken(self, context: ExceptionContext) -> InterfaceError | None:
        """Take what a driver raises by mistake, such as an `IndexError`, for the loss of its connection.

        SQLAlchemy calls this with whatever a driver raises once it is connected.
        """
        error = context.sqlalchemy_exception
        if isinstance(error, DBAPIError) and self.is_garbled(error):
            context.is_disconnect = True
        if error is not None or not isinstance(context.original_exception, Exception):
            return None  # the driver's own error, or of ours in a statement, or a cancellation
        context.is_disconnect = True
        mistake = context.original_exception
        return InterfaceError(context.statement, None, mistake, hide_parameters=True, connection_invalidated=True)
