"""Who sends a request (RFC 6750, section 2.1), found out before anything else of it is read."""

import re
from typing import ClassVar, Final

from fastapi import Request, Response

from application.principal import ANONYMOUS, OPERATOR, Principal
from domain.errors import InvalidAccessToken, NotSignedIn
from entrypoints.http.bodies import JsonRequest
from entrypoints.http.dependencies import CALLER, container_of
from entrypoints.http.middleware.security_headers import VARIES
from entrypoints.http.routing import DirectRoute

_READING: Final = ("GET", "HEAD")
_BEARER: Final = re.compile(r"bearer(?: +(?P<token>[^ ].*))?", re.IGNORECASE)


class CallerRoute(DirectRoute):
    """A route that knows its caller, and turns away whoever has not signed in."""

    request_class = JsonRequest
    open_to_nobody: ClassVar = False

    async def respond(self, request: Request) -> Response:
        caller = await _find(request)
        if caller is ANONYMOUS and not self.open_to_nobody:
            raise NotSignedIn
        request.scope[CALLER] = caller
        return await super().respond(request)


class OpenCallerRoute(CallerRoute):
    """A route that knows its caller, who may be nobody."""

    open_to_nobody = True


async def _find(request: Request) -> Principal:
    container = container_of(request)
    if not container.settings().asks_for_tokens:
        return OPERATOR
    request.scope["state"][VARIES] = True
    given = request.headers.getlist("authorization")
    if len(given) > 1:
        raise InvalidAccessToken
    bearer = _BEARER.fullmatch(given[0]) if given else None
    if bearer is None or bearer["token"] is None:  # no token, or what another scheme has
        return ANONYMOUS
    authenticator = container.token_authenticator()
    caller = await authenticator.authenticate(bearer["token"])
    if caller.is_admin and request.method not in _READING:
        # An admin who has just been dismissed must not undo it with what their token was good for a moment ago.
        return await authenticator.authenticate(bearer["token"], bypass_cache=True)
    return caller
