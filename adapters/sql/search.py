"""Search users by a prefix of their name, email or username."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Select, and_, bindparam, case, func, literal, or_, select, union

from adapters.prefix_range import prefix_upper_bound
from adapters.sql.engine.database import Database
from adapters.sql.engine.statements import Row
from adapters.sql.tables import USER_COLUMNS, USERS
from domain.values import SearchPrefix

_SEARCHED: Final = (USERS.c.name_key, USERS.c.email_key, USERS.c.username_key)
_MAX_SORTED: Final = 4_000


class PrefixSearch:
    """Searches users by prefix, with a plan that suits the number of matches."""

    def __init__(self, database: Database) -> None:
        self._database: Final = database

    async def rows(self, prefix: SearchPrefix, *, limit: int, descending: bool) -> Sequence[Row]:
        """Return the first users, by id, as `USER_COLUMNS`."""
        # Few matches are read through the indexes and sorted. Many matches are frequent, so the first ones are found
        # soon in the order of the ids. No database chooses well between the two plans for every prefix.
        parameters = _parameters(prefix)
        conditions = _starts_with(has_end="end" in parameters)
        (exceeds,) = await self._database.fetch(_exceeds_max_sorted(conditions), parameters)
        statement = _unindexed if any(exceeds) else _sorted
        return await self._database.fetch(statement(conditions, descending), {**parameters, "limit": limit})

    async def count(self, prefix: SearchPrefix) -> int:
        parameters = _parameters(prefix)
        conditions = _starts_with(has_end="end" in parameters)
        return int((await self._database.fetch(_count(conditions), parameters))[0][0])


def _parameters(prefix: SearchPrefix) -> Mapping[str, str]:
    end = prefix_upper_bound(prefix)
    return {"prefix": prefix} if end is None else {"prefix": prefix, "end": end}


@cache
def _starts_with(*, has_end: bool) -> tuple[ColumnElement[bool], ...]:
    """Return, for each searched column, "starts with" as a range, which the index of an `ExactText` supports."""
    prefix, end = (bindparam(name, type_=USERS.c.name_key.type) for name in ("prefix", "end"))
    return tuple(and_(key >= prefix, key < end) if has_end else key >= prefix for key in _SEARCHED)


@cache
def _exceeds_max_sorted(conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    """Return a query, by column, for the match after the maximum number to sort; null where there are fewer.

    The order makes a database use the index, even if it expects many matches.
    """
    return select(
        *(
            select(literal(1)).where(starts).order_by(key).limit(1).offset(_MAX_SORTED).scalar_subquery()
            for key, starts in zip(_SEARCHED, conditions, strict=True)
        )
    )


@cache
def _sorted(conditions: Sequence[ColumnElement[bool]], descending: bool) -> Select[Any]:
    ids = union(*(select(USERS.c.id).where(starts) for starts in conditions)).subquery()
    order = ids.c.id.desc() if descending else ids.c.id
    first = select(ids.c.id).order_by(order).limit(bindparam("limit", type_=Integer)).subquery()
    users = select(*USER_COLUMNS).join(first, USERS.c.id == first.c.id)
    return users.order_by(USERS.c.id.desc() if descending else USERS.c.id)


@cache
def _unindexed(conditions: Sequence[ColumnElement[bool]], descending: bool) -> Select[Any]:
    """Return the condition in a form that no index supports and most rows seem to satisfy.

    The database then scans rows in the requested order until it has enough matches.
    """
    users = select(*USER_COLUMNS).where(case((or_(*conditions), 1), else_=0) != 0)
    return users.order_by(USERS.c.id.desc() if descending else USERS.c.id).limit(bindparam("limit", type_=Integer))


@cache
def _count(conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    return select(func.count()).select_from(USERS).where(or_(*conditions))
