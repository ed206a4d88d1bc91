"""The writes of a commit, and how its session applies them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, Literal, TypeAlias

from domain.errors import DomainError, StaleVersion
from sqlalchemy import Select, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload
from sqlalchemy.orm.exc import StaleDataError

from userport_sqlalchemy_orm.models import RecordModel, UserModel

Verb: TypeAlias = Literal["add", "save", "remove", "require"]
Row: TypeAlias = UserModel | RecordModel
Conflicts: TypeAlias = Mapping[str, type[DomainError]]
"""The error for each constraint, by its name."""

OWNER: Final = "records.owner_id"

_ROWS: Final[Mapping[type[Row], Select[Any]]] = {
    UserModel: select(UserModel).options(selectinload(UserModel.search_keys)),
    RecordModel: select(RecordModel),
}


@dataclass(frozen=True, slots=True)
class Write:
    verb: Verb
    model: type[Row]
    key: tuple[str, ...]
    version: int
    """The version of the entity."""

    values: Mapping[str, object]
    conflicts: Conflicts


async def apply_writes(writes: Sequence[Write], session: AsyncSession) -> None:
    rows = await _lock_rows(writes, session)  # held to the end, since the identity map refers to them weakly
    # One flush inserts adjacent new rows. The rest is flushed row by row, since SQLAlchemy sorts what a flush writes.
    for _, batch in groupby(writes, key=lambda write: write.conflicts if write.verb == "add" else write):
        try:
            for write in batch:
                rows.append(await _apply(write, session))
            await session.flush()
        except IntegrityError as error:
            if conflict := write.conflicts.get(_violated_constraint(error)):
                raise conflict from None  # the driver's error repeats values
            raise
        except StaleDataError:  # the record was removed with its owner
            raise StaleVersion from None


async def _lock_rows(writes: Sequence[Write], session: AsyncSession) -> list[Row]:
    """Load the rows, always in the same order, so no two commits wait for each other. SQLite locks the whole file."""
    locked: list[Row] = []
    for model, rows in _ROWS.items():
        keys = {write.key for write in writes if write.model is model and write.verb != "add"}
        if keys:
            columns = model.__table__.primary_key
            found = rows.where(tuple_(*columns).in_(keys)).order_by(*columns).with_for_update(key_share=True)
            locked += await session.scalars(found)
    return locked


async def _apply(write: Write, session: AsyncSession) -> Row:
    row: Row | None = session.identity_map.get(session.identity_key(write.model, write.key))
    if write.verb == "add":
        if row is not None:
            session.expunge(row)  # the database decides whether the key is taken
        row = write.model(**write.values)
        session.add(row)
    elif row is None or row.version != (write.version - 1 if write.verb == "save" else write.version):
        raise StaleVersion
    elif write.verb == "remove":
        await session.delete(row)
    elif write.verb == "save":
        for name, value in write.values.items():
            setattr(row, name, value)
    return row


def _violated_constraint(error: IntegrityError) -> str:
    """Return `table.column`. SQLite names no foreign key, but only one can be violated."""
    name = getattr(error.orig and error.orig.__cause__, "constraint_name", None)  # asyncpg's
    found = re.search(r"\w+\.\w+", str(name or error.orig))
    return found[0] if found else OWNER
