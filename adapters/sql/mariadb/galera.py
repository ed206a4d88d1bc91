"""Galera: nodes that apply each other's commits, and reject those that write the same rows."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Final

from asyncmy.connection import Connection as AsyncmyConnection
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

from domain.errors import TooBusy

_IS_NODE: Final = "SHOW SESSION VARIABLES LIKE 'wsrep_on'"  # absent in MySQL and in builds without Galera
_WAIT_FOR_OTHER_NODES: Final = "SET SESSION wsrep_sync_wait = 7"  # before reads, updates, deletions and inserts


_LEASE_TIMEOUT_SECONDS: Final = 60
_POLL_INTERVAL_SECONDS: Final = 0.2
_CREATE_LEASES: Final = "CREATE TABLE IF NOT EXISTS migration_lease (id INT PRIMARY KEY, expires_at DATETIME NOT NULL)"
_END_EXPIRED_LEASE: Final = "DELETE FROM migration_lease WHERE expires_at < UTC_TIMESTAMP()"
_TAKE_LEASE: Final = "INSERT INTO migration_lease VALUES (1, UTC_TIMESTAMP() + INTERVAL 5 MINUTE)"
_END_LEASE: Final = "DELETE FROM migration_lease"


async def join_cluster(connection: AsyncmyConnection) -> bool:
    """Return whether a new session is on a Galera node, where it will see all earlier commits on other nodes.

    Close the connection on failure.
    """
    try:
        async with connection.cursor() as cursor:
            await cursor.execute(_IS_NODE)
            row = await cursor.fetchone()
            is_node = row is not None and row[1] == "ON"
            if is_node:
                await cursor.execute(_WAIT_FOR_OTHER_NODES)
    except BaseException:
        connection.close()
        raise
    return is_node


@contextmanager
def migration_lease(connection: Connection) -> Iterator[None]:
    """Exclude migrations on other nodes. A lease that a crash leaves behind ends after five minutes.

    Raise `TooBusy` if another process holds it for too long.
    """
    connection.exec_driver_sql(_CREATE_LEASES)
    deadline = monotonic() + _LEASE_TIMEOUT_SECONDS
    while not _takes_lease(connection):
        if monotonic() > deadline:
            raise TooBusy("another process is preparing this storage")
        await_only(asyncio.sleep(_POLL_INTERVAL_SECONDS))
    try:
        yield
    finally:
        _run(connection, _END_LEASE)


def _takes_lease(connection: Connection) -> bool:
    try:
        _run(connection, _END_EXPIRED_LEASE, _TAKE_LEASE)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        connection.exec_driver_sql("ROLLBACK")
        return False  # another process holds it, or was first to take it
    return True


def _run(connection: Connection, *statements: str) -> None:
    """Run and commit statements beside the transaction that SQLAlchemy knows; DDL would end that as well."""
    for statement in (*statements, "COMMIT"):
        connection.exec_driver_sql(statement)
