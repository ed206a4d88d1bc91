"""Authenticate requests by access token (RFC 6750)."""

import re
from http import HTTPStatus
from typing import Annotated, Final, TypeAlias

from fastapi import Depends, Request, Security
from fastapi.security import OAuth2PasswordBearer
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from application.principal import ANONYMOUS, OPERATOR, Principal
from domain.errors import InvalidAccessToken, NotSignedIn
from entrypoints.http.app_state import asks_for_tokens, container_of
from entrypoints.http.middleware.security_headers import VARIES

_SAFE_METHODS: Final = ("GET", "HEAD")
_CREDENTIALS: Final = re.compile(r"bearer(?: +(?P<token>[^ ].*))?", re.IGNORECASE)


class AccessTokenBearer(OAuth2PasswordBearer):
    """Security scheme that returns the access token of a request, or None without one; always None in open mode."""

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
