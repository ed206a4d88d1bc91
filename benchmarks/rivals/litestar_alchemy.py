"""Litestar with advanced-alchemy, fully asynchronous, as their manuals recommend."""

# These libraries are installed where the rivals run, and nowhere else.
# mypy: disable-error-code="import-not-found", allow-subclassing-any, allow-untyped-decorators

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, TypeAlias
from uuid import UUID

from advanced_alchemy.extensions.litestar import (
    AsyncSessionConfig,
    EngineConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemyPlugin,
)
from advanced_alchemy.extensions.litestar.providers import create_service_provider
from advanced_alchemy.filters import LimitOffset, OrderBy
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from litestar import Controller, Litestar, get, patch, post
from litestar.di import Provide
from litestar.params import Parameter
from msgspec import UNSET, Meta, Struct, UnsetType

from benchmarks.rivals import litestar_model
from benchmarks.rivals.addresses import async_url, url_in_environment
from benchmarks.rivals.durable_sqlite import make_durable

_CONNECTIONS: Final = 16  # as many as userport has

Email: TypeAlias = Annotated[str, Meta(max_length=254)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=100)]
Username: TypeAlias = Annotated[str, Meta(min_length=3, max_length=32)]
Bio: TypeAlias = Annotated[str, Meta(max_length=1_000)]
Role: TypeAlias = Literal["member", "admin"]


class NewUser(Struct):
    email: Email
    name: Name
    username: Username | None = None
    bio: Bio | None = None
    role: Role = "member"
    active: bool = True


class UserPatch(Struct):
    """An omitted field stays unchanged."""

    email: Email | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    username: Username | UnsetType | None = UNSET
    bio: Bio | UnsetType | None = UNSET
    role: Role | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class User(Struct):
    id: UUID
    email: str
    name: str
    username: str | None
    bio: str | None
    role: str
    active: bool
    created_at: datetime
    updated_at: datetime


class UserService(SQLAlchemyAsyncRepositoryService[litestar_model.User]):
    class Repository(SQLAlchemyAsyncRepository[litestar_model.User]):
        model_type = litestar_model.User

    repository_type = Repository


class UserController(Controller):
    path = "/users"
    dependencies: Final = {"users": Provide(create_service_provider(UserService))}

    @get()
    async def list_users(
        self,
        users: UserService,
        limit: Annotated[int, Parameter(ge=1, le=200)] = 50,
        offset: Annotated[int, Parameter(ge=0)] = 0,
    ) -> Sequence[User]:
        found = await users.list(LimitOffset(limit, offset), OrderBy("id", "asc"))
        return [_shown(users, user) for user in found]

    @get("/{user_id:uuid}")
    async def get_user(self, users: UserService, user_id: UUID) -> User:
        return _shown(users, await users.get(user_id))

    @post()
    async def create_user(self, users: UserService, data: NewUser) -> User:
        return _shown(users, await users.create(data))

    @patch("/{user_id:uuid}")
    async def update_user(self, users: UserService, user_id: UUID, data: UserPatch) -> User:
        return _shown(users, await users.update(data, item_id=user_id))


def _shown(users: UserService, user: litestar_model.User) -> User:
    shown: User = users.to_schema(user, schema_type=User)
    return shown


def _config() -> Any:
    config = SQLAlchemyAsyncConfig(
        connection_string=async_url(url_in_environment()).render_as_string(hide_password=False),
        before_send_handler="autocommit",
        session_config=AsyncSessionConfig(expire_on_commit=False),
        engine_config=EngineConfig(pool_size=_CONNECTIONS, max_overflow=0),
    )
    make_durable(config.get_engine().sync_engine)
    return config


app: Final = Litestar([UserController], plugins=[SQLAlchemyPlugin(_config())], logging_config=None)
