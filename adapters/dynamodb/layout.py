"""What a table holds beside its records, and how a table of an earlier version comes to hold it."""

from functools import partial

from adapters.dynamodb import rules
from adapters.dynamodb.actions import Action
from adapters.dynamodb.calls import all_of
from adapters.dynamodb.commits import Commits, Write
from adapters.dynamodb.items import LAYOUT_KEY, LAYOUT_VERSION, Key, is_active_admin, user_key
from adapters.dynamodb.table import Range, Table
from domain.errors import StorageNotPrepared


class Layout:
    def __init__(self, table: Table, commits: Commits) -> None:
        self._table = table
        self._commits = commits

    async def check(self) -> None:
        """Raises `StorageNotPrepared` for a table of an earlier version."""
        if not await self._is_there():
            raise StorageNotPrepared

    async def bring_about(self) -> None:
        """Add what the records of an earlier version lack; if that is cut short, it begins anew the next time."""
        if await self._is_there():
            return
        start: Key | None = None
        while True:
            users, start = await self._table.query(
                Range("users"), only=("pk", "sk", "version", "role", "active", "tx"), start=start
            )
            admins = [key.sk for key, image in users if "tx" in image or is_active_admin(image)]
            await all_of(partial(self._list_admin, user_id) for user_id in admins)
            if start is None:
                break
        await self._table.transact([Action("Put", LAYOUT_KEY, image={"number": LAYOUT_VERSION})])

    async def _is_there(self) -> bool:
        found = (await self._table.read([LAYOUT_KEY])).get(LAYOUT_KEY)
        return found is not None and found["number"] >= LAYOUT_VERSION

    async def _list_admin(self, user_id: str) -> None:
        await self._commits.commit([Write(partial(rules.list_admin, user_id=user_id), user_key(user_id))])
