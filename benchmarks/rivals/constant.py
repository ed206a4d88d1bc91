"""FastAPI with a constant response through the same schemas: an upper bound for services on FastAPI."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import FastAPI, Query

from benchmarks.rivals.schemas import NewUser, User, UserPatch

app: Final = FastAPI()

_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
_USER: Final = User(
    id=UUID("019b76da-a800-7000-8000-000000000000"),
    email="user.0@example.org",
    name="Ann Lee 0",
    username="user_0",
    bio="Likes tea, and answers to 0.",
    role="member",
    active=True,
    created_at=_NOW,
    updated_at=_NOW,
)


@app.get("/users")
async def list_users(
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Sequence[User]:
    return [_USER] * limit


@app.get("/users/{user_id}")
async def get_user(user_id: UUID) -> User:
    return _USER


@app.post("/users", status_code=201)
async def create_user(body: NewUser) -> User:
    return _USER


@app.patch("/users/{user_id}")
async def update_user(user_id: UUID, body: UserPatch) -> User:
    return _USER
