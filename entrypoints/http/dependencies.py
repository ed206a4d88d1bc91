"""What routers are given. The container is kept on the app; see the decision on wiring in `docs/decisions/`."""

from http import HTTPStatus
from typing import Annotated, Final, TypeAlias, cast

from fastapi import Depends, Path, Request
from starlette.exceptions import HTTPException

from application.callers import Caller
from application.own_sessions import OwnSessionService
from application.password_changes import PasswordChangeService
from application.posts import PostService
from application.sign_in import SignInService, Visitor
from application.users import UserService
from domain.errors import InvalidValue, PostNotFound, SessionNotFound, UserNotFound
from domain.values import PostId, SessionId, UserId
from entrypoints.container import Container

_OWN: Final = "me"
_EXAMPLE: Final = "01a1fc03-c17d-75ed-bf71-79e707db80f3"

_IdText: TypeAlias = Annotated[
    str,
    Path(
        alias="id",
        description="What is no UUID names nothing.",
        json_schema_extra={"format": "uuid"},
        examples=[_EXAMPLE],
    ),
]
_UserIdText: TypeAlias = Annotated[
    str,
    Path(
        alias="id",
        description=f"What is no UUID names nothing; but `{_OWN}` is whoever has signed in.",
        json_schema_extra={"anyOf": [{"format": "uuid"}, {"const": _OWN}]},
        examples=[_EXAMPLE, _OWN],
    ),
]


def container_of(request: Request) -> Container:
    return cast("Container", request.app.state.container)


# Async, though they wait for nothing: FastAPI would run plain functions in its thread pool.
async def _users(request: Request) -> UserService:
    return container_of(request).users()


async def _posts(request: Request) -> PostService:
    return container_of(request).posts()


async def _sign_ins(request: Request) -> SignInService:
    return container_of(request).sign_ins()


async def _own_sessions(request: Request) -> OwnSessionService:
    return container_of(request).own_sessions()


async def _password_changes(request: Request) -> PasswordChangeService:
    return container_of(request).password_changes()


async def _caller(request: Request) -> Caller:
    return cast("Caller", request.state.caller)  # which `CallerRoute` has found out


async def _admin(request: Request) -> Caller:
    caller = await _caller(request)
    if not caller.is_admin:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return caller


async def _own_id(request: Request) -> UserId:
    caller = await _caller(request)
    if caller.user_id is None:
        raise UserNotFound
    return caller.user_id


async def _visitor(request: Request) -> Visitor:
    address = request.client.host if request.client else None
    return Visitor(address=address, user_agent=request.headers.get("user-agent"))


async def _user_id(request: Request, text: _UserIdText) -> UserId:
    """Read the id of a user whom the caller may know of."""
    if text == _OWN:
        return await _own_id(request)
    try:
        user_id = UserId.parse(text)
    except InvalidValue:
        raise UserNotFound from None
    (await _caller(request)).check_reaches(user_id)
    return user_id


async def _post_id(text: _IdText) -> PostId:
    try:
        return PostId.parse(text)
    except InvalidValue:
        raise PostNotFound from None


async def _session_id(text: _IdText) -> SessionId:
    try:
        return SessionId.parse(text)
    except InvalidValue:
        raise SessionNotFound from None


Users: TypeAlias = Annotated[UserService, Depends(_users)]
Posts: TypeAlias = Annotated[PostService, Depends(_posts)]
SignIns: TypeAlias = Annotated[SignInService, Depends(_sign_ins)]
OwnSessions: TypeAlias = Annotated[OwnSessionService, Depends(_own_sessions)]
PasswordChanges: TypeAlias = Annotated[PasswordChangeService, Depends(_password_changes)]
CallerInRequest: TypeAlias = Annotated[Caller, Depends(_caller)]
AdminInRequest: TypeAlias = Annotated[Caller, Depends(_admin)]
VisitorInRequest: TypeAlias = Annotated[Visitor, Depends(_visitor)]
OwnId: TypeAlias = Annotated[UserId, Depends(_own_id)]
UserIdInPath: TypeAlias = Annotated[UserId, Depends(_user_id)]
PostIdInPath: TypeAlias = Annotated[PostId, Depends(_post_id)]
SessionIdInPath: TypeAlias = Annotated[SessionId, Depends(_session_id)]
