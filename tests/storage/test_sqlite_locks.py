import asyncio
import sqlite3
import threading

import pytest
from sqlalchemy import Connection, make_url, text

from adapters.sql.storage import SqlStorage
from tests.servers.databases import Databases
from tests.storage.database_contract import connected

# Takes some tenths of a second and holds the write lock throughout.
SLOW = text(
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3000000) "
    "INSERT INTO credentials SELECT x'00', max(n), 1 FROM numbers"
)
TIMEOUT_SECONDS = 10


@pytest.mark.slow
async def test_a_cancelled_commit_comes_to_its_end_and_holds_no_write_lock_then(databases: Databases) -> None:
    with databases.fresh("sqlite") as url:
        async with connected(url) as storage:
            assert isinstance(storage, SqlStorage)
            await storage.prepare()
            running = threading.Event()

            def work(connection: Connection) -> None:
                running.set()
                connection.execute(SLOW)

            commit = asyncio.create_task(storage.database.transact(work))
            assert await asyncio.to_thread(running.wait, TIMEOUT_SECONDS)
            commit.cancel()
            kept = await asyncio.gather(commit, return_exceptions=True)
            assert isinstance(kept[0], asyncio.CancelledError)
            async with asyncio.timeout(TIMEOUT_SECONDS):
                while storage.connections_in_use:  # noqa: ASYNC110 - there is no event for it
                    await asyncio.sleep(0.01)
            with sqlite3.connect(str(make_url(url).database), timeout=0, isolation_level=None) as other:
                other.execute("BEGIN IMMEDIATE")
            other.close()
