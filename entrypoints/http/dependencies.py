"""What routers are given. The container is kept on the app; see the decision on wiring in `docs/decisions/`."""

from http import HTTPStatus
from typing import Annotated, Final, TypeAlias, cast

from fastapi import Depends, Path, Request
from starlette.exceptions import HTTPException

from application.own_sessions import OwnSessionService
from application.password_changes import PasswordChangeService
from application.posts import PostService
from application.principal import Principal
from application.sign_in import ClientInfo, SignInService
from application.users import UserService
from domain.errors import InvalidValue, PostNotFound, SessionNotFound, UserNotFound
from domain.values import PostId, SessionId, UserId
from entrypoints.container import Container

CALLER: Final = "userport.caller"
"""Where the scope of a request has its caller."""

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


def _users(request: Request) -> UserService:
    return container_of(request).users()


def _posts(request: Request) -> PostService:
    return container_of(request).posts()


def _sign_ins(request: Request) -> SignInService:
    return container_of(request).sign_ins()


def _own_sessions(request: Request) -> OwnSessionService:
    return container_of(request).own_sessions()


def _password_changes(request: Request) -> PasswordChangeService:
    return container_of(request).password_changes()


def _caller(request: Request) -> Principal:
    return cast("Principal", request.scope[CALLER])  # which `CallerRoute` has found out


def _admin(request: Request) -> Principal:
    caller = _caller(request)
    if not caller.is_admin:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return caller


def _own_id(request: Request) -> UserId:
    caller = _caller(request)
    if caller.user_id is None:
        raise UserNotFound
    return caller.user_id


def _address(request: Request) -> str | None:
    return request.client.host if request.client else None


def _visitor(request: Request) -> ClientInfo:
    return ClientInfo(address=_address(request), user_agent=request.headers.get("user-agent"))


def _user_id(request: Request, text: _UserIdText) -> UserId:
    """Read the id of a user whom the caller may know of."""
    if text == _OWN:
        return _own_id(request)
    try:
        user_id = UserId.parse(text)
    except InvalidValue:
        raise UserNotFound from None
    _caller(request).check_may_access(user_id)
    return user_id


def _post_id(text: _IdText) -> PostId:
    try:
        return PostId.parse(text)
    except InvalidValue:
        raise PostNotFound from None


def _session_id(text: _IdText) -> SessionId:
    try:
        return SessionId.parse(text)
    except InvalidValue:
        raise SessionNotFound from None


Users: TypeAlias = Annotated[UserService, Depends(_users)]
Posts: TypeAlias = Annotated[PostService, Depends(_posts)]
SignIns: TypeAlias = Annotated[SignInService, Depends(_sign_ins)]
OwnSessions: TypeAlias = Annotated[OwnSessionService, Depends(_own_sessions)]
PasswordChanges: TypeAlias = Annotated[PasswordChangeService, Depends(_password_changes)]
CurrentPrincipal: TypeAlias = Annotated[Principal, Depends(_caller)]
CurrentAdmin: TypeAlias = Annotated[Principal, Depends(_admin)]
AddressInRequest: TypeAlias = Annotated[str | None, Depends(_address)]
ClientInfoInRequest: TypeAlias = Annotated[ClientInfo, Depends(_visitor)]
OwnId: TypeAlias = Annotated[UserId, Depends(_own_id)]
UserIdInPath: TypeAlias = Annotated[UserId, Depends(_user_id)]
PostIdInPath: TypeAlias = Annotated[PostId, Depends(_post_id)]
SessionIdInPath: TypeAlias = Annotated[SessionId, Depends(_session_id)]
