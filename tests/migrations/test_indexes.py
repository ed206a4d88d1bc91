"""What has to cost little with a million users is read by an index that serves it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncConnection

from adapters.sql.storage import SqlStorage
from adapters.storage_contract.admins import an_admin
from adapters.storage_contract.examples import LATER, a_session, a_user, nth_user_id, some_failures
from adapters.storage_contract.steps import add
from tests.storage.served_contract import opened

EXPLAIN: Final = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN", "mysql": "EXPLAIN"}
STATISTICS: Final = {
    "sqlite": (),  # of which it makes none by itself
    "postgresql": ("ANALYZE",),
    "mysql": ("ANALYZE TABLE users, sessions, sign_in_failures",),
}
MANY: Final = 3_000


@pytest.fixture
async def storage(url: str) -> AsyncIterator[SqlStorage]:
    async with opened(url) as storage:
        assert isinstance(storage, SqlStorage)
        await storage.prepare()
        members = [a_user() for _ in range(MANY)]
        await add(storage, *members, an_admin(), an_admin())
        await add(storage, *(a_session(member) for member in members))
        await add(storage, *(some_failures() for _ in range(MANY)))

        async def analyze(connection: AsyncConnection) -> None:
            for statement in STATISTICS[connection.dialect.name]:
                await connection.exec_driver_sql(statement)

        await storage.database.write(analyze)
        yield storage


async def test_active_admins_are_read_by_an_index(storage: SqlStorage) -> None:
    users = storage.unit_of_work().users
    await assert_index(storage, lambda: users.active_admins(limit=2), "ix_users_role_active_id")


async def test_sessions_of_a_user_are_read_by_an_index(storage: SqlStorage) -> None:
    sessions = storage.unit_of_work().sessions
    await assert_index(storage, lambda: sessions.of_user(nth_user_id(1)), "ix_sessions_user_id_id")


@pytest.mark.parametrize("everything_has_expired", [False, True])
async def test_expired_failures_are_read_by_an_index(storage: SqlStorage, *, everything_has_expired: bool) -> None:
    moment = LATER if everything_has_expired else LATER.replace(year=1999)
    failures = storage.unit_of_work().sign_in_failures
    await assert_index(storage, lambda: failures.expired(moment, limit=100), "ix_sign_in_failures_expires_at")


async def assert_index(storage: SqlStorage, read: Callable[[], Awaitable[object]], name: str) -> None:
    """Have the database explain how it answers: by that index, sorting nothing."""
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        statements.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        await read()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    ((statement, parameters),) = statements
    plans: list[str] = []

    async def explain(connection: AsyncConnection) -> None:
        explained = f"{EXPLAIN[connection.dialect.name]} {statement}"
        steps = (await connection.exec_driver_sql(explained, parameters)).mappings()
        # MariaDB names the indexes that it might have used, too.
        plans.extend(str({**step, "possible_keys": None}) for step in steps)

    await storage.database.write(explain)
    plan = "\n".join(plans)
    assert name in plan
    assert not any(word in plan for word in ("Sort", "filesort", "TEMP B-TREE")), plan
