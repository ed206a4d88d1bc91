import sqlite3
from typing import Final, cast

from sqlalchemy import Table
from sqlalchemy.exc import OperationalError

from adapters.sql.connections import FileConnections
from adapters.sql.dialects.multi_row_inserts import insert_statements
from adapters.sql.inserts import Inserts, Rows
from domain.errors import StorageUnavailable, TooBusy

_UNCERTAIN: Final = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}  # perhaps when all was written but the end


class ThreadInserts(Inserts):
    """Inserts into a file, each as one step for the thread that writes, during which it holds up no other."""

    def __init__(self, connections: FileConnections) -> None:
        self._connections: Final = connections

    @property
    def in_use(self) -> int:
        return 0  # of its own

    async def insert(self, table: Table, rows: Rows) -> None:
        statements = [*insert_statements(table, rows)]

        def insert() -> None:
            pooled = self._connections.engine.raw_connection()
            connection = cast("sqlite3.Connection", pooled.driver_connection)
            try:
                if len(statements) > 1:  # one is a transaction by itself
                    connection.execute("BEGIN IMMEDIATE")
                for text, arguments in statements:
                    connection.execute(text, arguments)
                connection.commit()
            finally:
                pooled.close()  # which rolls back what is not committed

        try:
            await self._connections.run_in_thread(insert)
        except OperationalError as error:  # it could not connect
            raise TooBusy from error
        except sqlite3.OperationalError as error:  # nearly always a lock
            raise StorageUnavailable if error.sqlite_errorcode & 0xFF in _UNCERTAIN else TooBusy from error

    async def close(self) -> None:
        """Leave it to the connections."""
