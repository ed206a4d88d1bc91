import asyncio
import sqlite3

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.sql.storage import SqlStorage
from tests.servers.databases import Databases
from tests.storage.served_contract import opened

# Takes some tenths of a second, all of which the write lock is held.
SLOW = text(
    "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 3000000) "
    "INSERT INTO credentials SELECT x'00', max(n) FROM numbers"
)


async def test_a_cancelled_commit_holds_no_write_lock_even_while_its_traceback_is_kept(databases: Databases) -> None:
    with databases.fresh("sqlite") as url:
        async with opened(url) as storage:
            assert isinstance(storage, SqlStorage)
            await storage.prepare()
            running = asyncio.Event()

            async def work(connection: AsyncConnection) -> None:
                running.set()
                await connection.execute(SLOW)

            commit = asyncio.create_task(storage.database.write(work))
            await running.wait()
            await asyncio.sleep(0.05)
            commit.cancel()
            kept = await asyncio.gather(commit, return_exceptions=True)
            with sqlite3.connect(str(make_url(url).database), timeout=0, isolation_level=None) as other:
                other.execute("BEGIN IMMEDIATE")
            other.close()
            assert isinstance(kept[0], asyncio.CancelledError)
