"""Galera: nodes that apply each other's commits, and reject those that write the same rows."""

from typing import Final

from asyncmy.connection import Connection

_IS_NODE: Final = "SHOW SESSION VARIABLES LIKE 'wsrep_on'"  # absent in MySQL and in builds without Galera
_WAIT_FOR_OTHER_NODES: Final = "SET SESSION wsrep_sync_wait = 7"  # before reads, updates, deletions and inserts


async def join_cluster(connection: Connection) -> bool:
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
