"""What routers are given. The container is kept on the app; see the decision on wiring in `docs/decisions/`."""

from typing import Annotated, TypeAlias, cast

from fastapi import Depends, Path, Request

from application.posts import PostService
from application.users import UserService
from domain.errors import InvalidValue, PostNotFound, UserNotFound
from domain.values import PostId, UserId
from entrypoints.container import Container

_IdText: TypeAlias = Annotated[
    str,
    Path(
        alias="id",
        description="What is no UUID names nothing.",
        json_schema_extra={"format": "uuid"},
        examples=["01a1fc03-c17d-75ed-bf71-79e707db80f3"],
    ),
]


def container_of(request: Request) -> Container:
    return cast("Container", request.app.state.container)


# Async, though they wait for nothing: FastAPI would run plain functions in its thread pool.
async def _users(request: Request) -> UserService:
    return container_of(request).users()


async def _posts(request: Request) -> PostService:
    return container_of(request).posts()


async def _user_id(text: _IdText) -> UserId:
    try:
        return UserId.parse(text)
    except InvalidValue:
        raise UserNotFound from None


async def _post_id(text: _IdText) -> PostId:
    try:
        return PostId.parse(text)
    except InvalidValue:
        raise PostNotFound from None


Users: TypeAlias = Annotated[UserService, Depends(_users)]
Posts: TypeAlias = Annotated[PostService, Depends(_posts)]
UserIdInPath: TypeAlias = Annotated[UserId, Depends(_user_id)]
PostIdInPath: TypeAlias = Annotated[PostId, Depends(_post_id)]
