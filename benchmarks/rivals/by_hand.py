"""FastAPI with handwritten asyncpg statements: close to the maximum for one query per request. PostgreSQL only."""

# mypy: disable-error-code="import-untyped"

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

import asyncpg
from fastapi import Depends, FastAPI, HTTPException, Query, Request

from benchmarks.rivals import schemas
from benchmarks.rivals.addresses import url_in_environment

_COLUMNS: Final = "id, email, name, username, bio, role, active, created_at, updated_at"
_GET: Final = f"SELECT {_COLUMNS} FROM users WHERE id = $1"  # noqa: S608 - our own names
_LIST: Final = f"SELECT {_COLUMNS} FROM users ORDER BY id LIMIT $1 OFFSET $2"  # noqa: S608
_INSERT: Final = f"INSERT INTO users ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) RETURNING {_COLUMNS}"  # noqa: S608


@asynccontextmanager
async def _connected(app: FastAPI) -> AsyncIterator[None]:
    async with asyncpg.create_pool(url_in_environment()) as pool:
        app.state.pool = pool
        yield


app: Final = FastAPI(lifespan=_connected)


def _pool(request: Request) -> Any:
    return request.app.state.pool


Pool = Annotated[Any, Depends(_pool)]


@app.get("/users", response_model=list[schemas.User])
async def list_users(
    pool: Pool,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Sequence[Mapping[str, Any]]:
    return [dict(row) for row in await pool.fetch(_LIST, limit, offset)]


@app.get("/users/{user_id}", response_model=schemas.User)
async def get_user(user_id: UUID, pool: Pool) -> Mapping[str, Any]:
    return _found(await pool.fetchrow(_GET, user_id))


@app.post("/users", response_model=schemas.User, status_code=201)
async def create_user(body: schemas.NewUser, pool: Pool) -> Mapping[str, Any]:
    given = (body.email, body.name, body.username, body.bio, body.role, body.active)
    try:
        return dict(await pool.fetchrow(_INSERT, uuid4(), *given, datetime.now(UTC)))
    except asyncpg.UniqueViolationError:
        raise HTTPException(409) from None


@app.patch("/users/{user_id}", response_model=schemas.User)
async def update_user(user_id: UUID, body: schemas.UserPatch, pool: Pool) -> Mapping[str, Any]:
    given = body.model_dump(exclude_unset=True)
    changes = ", ".join(f"{field} = ${place}" for place, field in enumerate([*given, "updated_at"], start=2))
    statement = f"UPDATE users SET {changes} WHERE id = $1 RETURNING {_COLUMNS}"  # noqa: S608 - fields of the schema
    try:
        return _found(await pool.fetchrow(statement, user_id, *given.values(), datetime.now(UTC)))
    except asyncpg.UniqueViolationError:
        raise HTTPException(409) from None


def _found(row: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if row is None:
        raise HTTPException(404)
    return dict(row)
