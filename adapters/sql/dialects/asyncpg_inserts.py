import asyncio
from functools import cache
from typing import Final

import asyncpg
from sqlalchemy import Dialect, Table

from adapters.sql.dialects.array_inserts import as_arrays, insert_arrays
from adapters.sql.dialects.asyncpg_connections import AsyncpgConnections
from adapters.sql.driver_statements import DriverStatement
from adapters.sql.inserts import Inserts, Rows
from domain.errors import StorageUnavailable, TooBusy

# PostgreSQL's manual, appendix A. By the first the server takes its leave (connection, operator, system, internal),
# perhaps when it had done already what it was sent; by the second it refuses a row (a value, a constraint); by any
# other, as when there is a lock or no table, all. What asyncpg's interface refuses, as on a connection that is closed,
# was not sent.
_UNCERTAIN: Final = ("08", "57", "58", "XX")
_REFUSES_A_ROW: Final = ("22", "23")


class AsyncpgInserts(Inserts):
    def __init__(self, connections: AsyncpgConnections, dialect: Dialect) -> None:
        self._connections: Final = connections
        self._statement: Final = cache(lambda table: DriverStatement(insert_arrays(table), dialect))

    @property
    def in_use(self) -> int:
        return self._connections.in_use

    async def insert(self, table: Table, rows: Rows) -> None:
        text, arguments = self._statement(table).text_and_arguments(as_arrays(table, rows))

        async def insert(connection: asyncpg.Connection) -> None:
            await asyncio.sleep(0)  # to hear of it if the server has taken its leave meanwhile
            await connection.execute(text, *arguments)

        try:
            await self._connections.run(insert)
        except asyncpg.PostgresError as error:
            code = str(error.sqlstate)
            if code.startswith(_UNCERTAIN):
                raise StorageUnavailable from error
            if code.startswith(_REFUSES_A_ROW):
                raise
            raise TooBusy from error
        except (asyncpg.InterfaceError, TooBusy):
            raise
        except Exception as error:  # it was lost, or answered with what makes no sense
            raise StorageUnavailable from error

    async def close(self) -> None:
        await self._connections.close()
