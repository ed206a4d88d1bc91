"""Finding users by the beginning of their name, email or username."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select, union

from adapters.sql.database import Database
from adapters.sql.driver_statements import Row
from adapters.sql.tables import USERS
from adapters.sql.user_rows import USER_COLUMNS
from adapters.text_range import successor
from domain.values import SearchPrefix

_SEARCHED: Final = (USERS.c.name_key, USERS.c.email_key, USERS.c.username_key)
_MOST_TO_SORT: Final = 4_000


class PrefixSearch:
    def __init__(self, database: Database) -> None:
        self._database: Final = database

    async def rows(self, prefix: SearchPrefix, *, limit: int, descending: bool) -> Sequence[Row]:
        """Read the first users, by id, as `USER_COLUMNS`."""
        # Few matches are read by the indexes and put in order. Where there are many, the first of them are not far
        # away in the order of the ids. No database chooses well between the two by itself, whatever the prefix.
        (more_than_few,) = await self._database.rows(_more_than_few(prefix))
        found = select(*USER_COLUMNS).order_by(USERS.c.id.desc() if descending else USERS.c.id).limit(limit)
        if any(more_than_few):
            return await self._database.rows(found.where(_unindexed(prefix)))
        ids = union(*(select(USERS.c.id).where(starts) for starts in _starts_with(prefix))).subquery()
        first = select(ids.c.id).order_by(ids.c.id.desc() if descending else ids.c.id).limit(limit).subquery()
        return await self._database.rows(found.join(first, USERS.c.id == first.c.id))

    async def count(self, prefix: SearchPrefix) -> int:
        counted = select(func.count()).select_from(USERS).where(or_(*_starts_with(prefix)))
        return int((await self._database.rows(counted))[0][0])


def _more_than_few(prefix: SearchPrefix) -> Select[Any]:
    """Ask, column by column, for the user behind as many matches as may be sorted; null where there is none.

    The order leads a database to the index, however many matches it expects.
    """
    return select(
        *(
            select(literal(1)).where(starts).order_by(key).limit(1).offset(_MOST_TO_SORT).scalar_subquery()
            for key, starts in zip(_SEARCHED, _starts_with(prefix), strict=True)
        )
    )


def _unindexed(prefix: SearchPrefix) -> ColumnElement[bool]:
    """Write the condition so that no index serves it and most rows seem to match.

    Then they are tried in the order asked for until there are enough.
    """
    return case((or_(*_starts_with(prefix)), 1), else_=0) != 0


def _starts_with(prefix: SearchPrefix) -> Sequence[ColumnElement[bool]]:
    """Write "starts with", for each column searched, as a range, which an index on an `ExactText` can serve."""
    end = successor(prefix)
    return [key >= prefix if end is None else and_(key >= prefix, key < end) for key in _SEARCHED]
