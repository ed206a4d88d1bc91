"""The bodies of the FastAPI rivals.

Only types and lengths are validated, which costs less than userport's rules; emails are accepted as they are.
"""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Email: TypeAlias = Annotated[str, Field(max_length=254)]
Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=100)]
Username: TypeAlias = Annotated[str, Field(min_length=3, max_length=32)]
Bio: TypeAlias = Annotated[str, Field(max_length=1_000)]
Role: TypeAlias = Literal["member", "admin"]


class NewUser(BaseModel):
    email: Email
    name: Name
    username: Username | None = None
    bio: Bio | None = None
    role: Role = "member"
    active: bool = True


class UserPatch(BaseModel):
    """An omitted field stays unchanged; `model_dump(exclude_unset=True)` returns the given fields."""

    email: Email = ""
    name: Name = ""
    username: Username | None = None
    bio: Bio | None = None
    role: Role = "member"
    active: bool = True


class User(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    name: str
    username: str | None
    bio: str | None
    role: str
    active: bool
    created_at: datetime
    updated_at: datetime
