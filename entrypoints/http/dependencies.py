"""Dependencies of endpoints: the caller, use cases from the app's container, and values from the request.

They are coroutine functions because FastAPI runs plain functions in threads. What `install` keeps in the state of the
app is read by item, because Starlette looks attributes up slowly.
"""

import re
from http import HTTPStatus
from typing import Annotated, Final, TypeAlias, cast

from fastapi import Depends, Header, Path, Request, Security
from fastapi.security import OAuth2PasswordBearer
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from application.languages import Language, negotiate_language
from application.links.email_change import EmailChangeService
from application.links.password_links import PasswordLinkService
from application.links.verification import EmailVerificationService
from application.posts.service import PostService
from application.principal import ANONYMOUS, OPERATOR, Principal
from application.sessions.own_sessions import OwnSessionService
from application.sign_in.attempt import ClientInfo
from application.sign_in.service import SignInService
from application.users.password_changes import PasswordChangeService
from application.users.service import UserService
from domain.errors import InvalidAccessToken, InvalidValue, NotSignedIn, PostNotFound, SessionNotFound, UserNotFound
from domain.values import PostId, SessionId, UserId
from entrypoints.container import Container
from entrypoints.http.middleware.security_headers import VARIES
from entrypoints.http.pages import PageReader

_SAFE_METHODS: Final = ("GET", "HEAD")
_CREDENTIALS: Final = re.compile(r"bearer(?: +(?P<token>[^ ].*))?", re.IGNORECASE)
_ME: Final = "me"
_EXAMPLE: Final = "01a1fc03-c17d-75ed-bf71-79e707db80f3"

_IdText: TypeAlias = Annotated[
    str,
    Path(
        alias="id",
        description="A UUID; anything else returns 404.",
        json_schema_extra={"format": "uuid"},
        examples=[_EXAMPLE],
    ),
]
_UserIdText: TypeAlias = Annotated[
    str,
    Path(
        alias="id",
        description=f"A UUID, or `{_ME}` for the caller's own user; anything else returns 404.",
        json_schema_extra={"anyOf": [{"format": "uuid"}, {"const": _ME}]},
        examples=[_EXAMPLE, _ME],
    ),
]


def container_of(request: HTTPConnection) -> Container:
    """Return the container of the app that serves a request; see `docs/decisions/`, 5."""
    return cast("Container", request.scope["app"].state["container"])


def asks_for_tokens(request: HTTPConnection) -> bool:
    """Return whether the app that serves a request is in token mode."""
    return cast("bool", request.scope["app"].state["asks_for_tokens"])


async def token_mode(request: Request) -> bool:
    return asks_for_tokens(request)


class AccessTokenBearer(OAuth2PasswordBearer):
    """Security scheme that returns the access token of a request (RFC 6750), or None without one.

    It is always None in open mode.
    """

    def __init__(self) -> None:
        super().__init__(tokenUrl="/auth/token", refreshUrl="/auth/token", scheme_name="password", auto_error=False)

    async def __call__(self, request: HTTPConnection) -> str | None:
        if not asks_for_tokens(request):
            return None
        request.scope["state"][VARIES] = True
        values = request.headers.getlist("authorization")
        if len(values) > 1:
            raise InvalidAccessToken
        credentials = _CREDENTIALS.fullmatch(values[0]) if values else None
        return credentials["token"] if credentials else None  # other schemes count as no credentials


access_token: Final = AccessTokenBearer()


async def current_principal(request: Request, token: Annotated[str | None, Security(access_token)]) -> Principal:
    """Return the caller, which may be `ANONYMOUS`. Raise `InvalidAccessToken`."""
    if not asks_for_tokens(request):
        return OPERATOR
    if token is None:
        return ANONYMOUS
    authenticator = container_of(request).token_authenticator()
    principal = await authenticator.authenticate(token)
    if principal.is_admin and request.method not in _SAFE_METHODS:
        # An admin who was just demoted must not undo that with a cached token.
        return await authenticator.authenticate(token, bypass_cache=True)
    return principal


CurrentPrincipal: TypeAlias = Annotated[Principal, Depends(current_principal)]


async def signed_in_principal(principal: CurrentPrincipal) -> Principal:
    """Return the caller. Raise `NotSignedIn` if it is anonymous."""
    if principal is ANONYMOUS:
        raise NotSignedIn
    return principal


async def admin_principal(principal: CurrentPrincipal) -> Principal:
    """Return the caller if it is an admin. Raise a 404 otherwise, which hides the resource."""
    if not principal.is_admin:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return principal


CurrentAdmin: TypeAlias = Annotated[Principal, Depends(admin_principal)]


async def user_service(request: Request) -> UserService:
    return container_of(request).users()


async def post_service(request: Request) -> PostService:
    return container_of(request).posts()


async def sign_in_service(request: Request) -> SignInService:
    return container_of(request).sign_ins()


async def own_session_service(request: Request) -> OwnSessionService:
    return container_of(request).own_sessions()


async def email_verification_service(request: Request) -> EmailVerificationService:
    return container_of(request).email_verification()


async def password_link_service(request: Request) -> PasswordLinkService:
    return container_of(request).password_links()


async def email_change_service(request: Request) -> EmailChangeService:
    return container_of(request).email_changes()


async def password_change_service(request: Request) -> PasswordChangeService:
    return container_of(request).password_changes()


async def user_page_reader(request: Request) -> PageReader:
    """Return the reader of all pages of users."""
    return cast("PageReader", request.scope["app"].state["page_readers"]["users"])


async def post_page_reader(request: Request) -> PageReader:
    """Return the reader of all pages of posts."""
    return cast("PageReader", request.scope["app"].state["page_readers"]["posts"])


async def client_address(request: Request) -> str | None:
    return request.client.host if request.client else None


async def client_language(
    accepted: Annotated[
        str | None,
        Header(
            alias="Accept-Language",
            description="The language of mail that the request causes: English or German (RFC 9110, section 12.5.4).",
        ),
    ] = None,
) -> Language:
    return negotiate_language(accepted)


async def client_info(request: Request, language: Annotated[Language, Depends(client_language)]) -> ClientInfo:
    user_agent = request.headers.get("user-agent")
    return ClientInfo(address=await client_address(request), user_agent=user_agent, language=language)


async def own_user_id(principal: CurrentPrincipal) -> UserId:
    """Return the id of the caller's own user. Raise `UserNotFound` when the caller is not a user, as in open mode."""
    if principal.user_id is None:
        raise UserNotFound
    return principal.user_id


async def user_id_in_path(text: _UserIdText, principal: CurrentPrincipal) -> UserId:
    """Return the user id from the path if the caller may access that user. Raise `UserNotFound`."""
    if text == _ME:
        return await own_user_id(principal)
    try:
        user_id = UserId.parse(text)
    except InvalidValue:
        raise UserNotFound from None
    principal.check_may_access(user_id)
    return user_id


async def post_id_in_path(text: _IdText) -> PostId:
    try:
        return PostId.parse(text)
    except InvalidValue:
        raise PostNotFound from None


async def session_id_in_path(text: _IdText) -> SessionId:
    try:
        return SessionId.parse(text)
    except InvalidValue:
        raise SessionNotFound from None


TokenMode: TypeAlias = Annotated[bool, Depends(token_mode)]
ClientLanguage: TypeAlias = Annotated[Language, Depends(client_language)]
Users: TypeAlias = Annotated[UserService, Depends(user_service)]
Posts: TypeAlias = Annotated[PostService, Depends(post_service)]
SignIns: TypeAlias = Annotated[SignInService, Depends(sign_in_service)]
OwnSessions: TypeAlias = Annotated[OwnSessionService, Depends(own_session_service)]
PasswordChanges: TypeAlias = Annotated[PasswordChangeService, Depends(password_change_service)]
EmailVerification: TypeAlias = Annotated[EmailVerificationService, Depends(email_verification_service)]
PasswordLinks: TypeAlias = Annotated[PasswordLinkService, Depends(password_link_service)]
EmailChanges: TypeAlias = Annotated[EmailChangeService, Depends(email_change_service)]
UserPageReader: TypeAlias = Annotated[PageReader, Depends(user_page_reader)]
PostPageReader: TypeAlias = Annotated[PageReader, Depends(post_page_reader)]
ClientAddress: TypeAlias = Annotated[str | None, Depends(client_address)]
CurrentClient: TypeAlias = Annotated[ClientInfo, Depends(client_info)]
OwnId: TypeAlias = Annotated[UserId, Depends(own_user_id)]
UserIdInPath: TypeAlias = Annotated[UserId, Depends(user_id_in_path)]
PostIdInPath: TypeAlias = Annotated[PostId, Depends(post_id_in_path)]
SessionIdInPath: TypeAlias = Annotated[SessionId, Depends(session_id_in_path)]
