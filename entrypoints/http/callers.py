"""Who sends a request (RFC 6750, section 2.1), found out before anything else of it is read."""

import re
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final

from fastapi import Request, Response

from application.callers import NOBODY, OPERATOR, Caller
from domain.errors import InvalidAccessToken, NotSignedIn
from entrypoints.http.bodies import JsonRoute
from entrypoints.http.dependencies import container_of

_READING: Final = ("GET", "HEAD")
_BEARER: Final = re.compile(r"bearer(?: +(?P<token>[^ ].*))?", re.IGNORECASE)


class CallerRoute(JsonRoute):
    """A route that knows its caller, and turns away whoever has not signed in."""

    open_to_nobody: ClassVar = False

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handle_for_caller(request: Request) -> Response:
            caller = await _find(request)
            if caller is NOBODY and not self.open_to_nobody:
                raise NotSignedIn
            request.state.caller = caller
            return await handle(request)

        return handle_for_caller


class OpenCallerRoute(CallerRoute):
    """A route that knows its caller, who may be nobody."""

    open_to_nobody = True


async def _find(request: Request) -> Caller:
    container = container_of(request)
    if not container.settings().asks_for_tokens:
        return OPERATOR
    given = request.headers.getlist("authorization")
    if len(given) > 1:
        raise InvalidAccessToken
    bearer = _BEARER.fullmatch(given[0]) if given else None
    if bearer is None or bearer["token"] is None:  # no token, or what another scheme has
        return NOBODY
    checks = container.access_checks()
    caller = await checks.caller(bearer["token"])
    if caller.is_admin and request.method not in _READING:
        # An admin who has just been dismissed must not undo it with what their token was good for a moment ago.
        return await checks.caller(bearer["token"], anew=True)
    return caller
