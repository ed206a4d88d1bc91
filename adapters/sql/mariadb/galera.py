"""Galera: nodes that apply each other's commits, after a check that these write no common row."""

from typing import Final

from asyncmy.connection import Connection

_IS_NODE: Final = "SHOW SESSION VARIABLES LIKE 'wsrep_on'"  # there is none in MySQL, or in MariaDB without Galera
_WAIT_FOR_OTHER_NODES: Final = "SET SESSION wsrep_sync_wait = 7"  # before reads, updates, deletions and inserts


async def join_cluster(connection: Connection) -> bool:
    """Return whether a session is on a node of Galera; from then on it sees what was answered on others before.

    A connection on which that fails is closed.
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
