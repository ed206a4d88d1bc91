from collections.abc import Sequence
from itertools import product
from typing import Any, Final

from sqlalchemy import Column, Integer, Row, Select, bindparam

from adapters.sql.database import Database

_FEW: Final = 201
"""A page as the HTTP API asks for it, and one row more."""


class Pages:
    """What a statement finds, page by page in the order of a key. The statements are made once, in all their forms."""

    def __init__(self, statement: Select[Any], key: Column[Any]) -> None:
        self._forms: Final = {form: _page(statement, key, *form) for form in product((True, False), repeat=2)}

    async def rows(
        self,
        database: Database,
        *,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
        **others: object,
    ) -> Sequence[Row[Any]]:
        """Read a page; `others` are the parameters of the statement itself."""
        from_start = after is None
        parameters = {"limit": limit, "skip": skip, **({} if from_start else {"after": after}), **others}
        read = database.few_rows if limit <= _FEW and not skip else database.rows
        return await read(self._forms[from_start, descending], parameters)


def _page(statement: Select[Any], key: Column[Any], from_start: bool, descending: bool) -> Select[Any]:
    if not from_start:
        after = bindparam("after", type_=key.type)
        statement = statement.where(key < after if descending else key > after)
    ordered = statement.order_by(key.desc() if descending else key)
    return ordered.limit(bindparam("limit", type_=Integer)).offset(bindparam("skip", type_=Integer))
