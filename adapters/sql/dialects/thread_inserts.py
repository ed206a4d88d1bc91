import sqlite3
from typing import Final, cast

from sqlalchemy.exc import OperationalError

from adapters.sql.connections import FileConnections
from adapters.sql.dialects.multi_row_inserts import insert_statements
from adapters.sql.inserts import Inserts, Rows
from domain.errors import StorageUnavailable, TooBusy


class ThreadInserts(Inserts):
    """Inserts into a file, each transaction as one piece of work for the thread that writes."""

    def __init__(self, connections: FileConnections) -> None:
        self._connections: Final = connections

    @property
    def in_use(self) -> int:
        return 0  # of its own

    async def insert(self, rows: Rows) -> None:
        engine = self._connections.engine
        statements = [one for table, own in rows.items() for one in insert_statements(table, own, engine.dialect)]

        def insert() -> None:
            pooled = engine.raw_connection()
            try:
                connection = cast("sqlite3.Connection", pooled.driver_connection)
                connection.execute("BEGIN IMMEDIATE")
                try:
                    for text, arguments in statements:
                        connection.execute(text, arguments)
                except BaseException:
                    connection.rollback()
                    raise
                try:
                    connection.execute("COMMIT")
                except sqlite3.Error as error:
                    raise StorageUnavailable from error
            finally:
                pooled.close()

        try:
            await self._connections.run_in_thread(insert)
        except (sqlite3.OperationalError, OperationalError) as error:  # nearly always a lock
            raise TooBusy from error

    async def close(self) -> None:
        """Leave it to the connections."""
