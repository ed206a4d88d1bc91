"""What happens to every request, as plain ASGI: Starlette's own base class would cost more than a handler."""

import logging
import re
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils import uuid4

from entrypoints.http.problems import problem

_log = logging.getLogger("userport.http")

VARIES: Final = "varies_by_caller"
"""The key in the request's state that says whether the response, or error, depends on the caller."""

# What OWASP's REST Security Cheat Sheet wants on every answer: nothing here is to be shown or run as a page.
SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_CONTENT_POLICY: Final = SECURITY_HEADERS[-1][0]
_BY_CALLER: Final = (b"vary", b"Authorization")
_ONLY_TLS: Final = (b"strict-transport-security", b"max-age=31536000")


class AnswerHeaders:
    """Gives every answer the `X-Request-Id` that its request came with, if that is sane, or a new one.

    And tells browsers to take no answer for more than it is; a page that is one brings its own policy.
    """

    _SANE: Final = re.compile(rb"[\x21-\x7e]{1,128}")

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        request_id = given.decode() if self._SANE.fullmatch(given) else str(uuid4())
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = message.get("headers", ())
                security = SECURITY_HEADERS[:-1] if _CONTENT_POLICY in dict(own) else SECURITY_HEADERS
                headers = [*own, (b"x-request-id", request_id.encode()), *security]
                if VARIES in scope["state"]:
                    headers.append(_BY_CALLER)
                if scope["scheme"] == "https":
                    headers.append(_ONLY_TLS)
                message["headers"] = headers
            await send(message)

        await self._app(scope, receive, send_with_headers)


class LastResort:
    """Turns an exception that nobody expected into a 500 that tells only the request's id; the log tells the rest."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        except Exception:  # whatever it is: this is the one place where a bug becomes an answer
            if started or scope["type"] != "http":
                raise
            _log.exception("request %s failed", scope["state"]["request_id"])
            detail = "The service has failed; its log tells more under this request_id."
            answer = problem(scope, HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", detail)
            await answer(scope, receive, send)


class ThisMachineOnly:
    """The open mode's guard: whoever is on this machine may do everything, and nobody else anything.

    A forwarding header tells of a proxy, behind which anybody may stand; a foreign `Host` tells of a browser that
    was lured here by a name that somebody made resolve to this machine (DNS rebinding).
    """

    _LOOPBACK_HOST: Final = re.compile(rb"(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE)

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_local(scope):
            await self._app(scope, receive, send)
            return
        detail = "Without authentication this service answers only to the machine that it runs on."
        await problem(scope, HTTPStatus.FORBIDDEN, "not_local", detail)(scope, receive, send)

    def _is_local(self, scope: Scope) -> bool:
        if scope["client"] is None or not _is_loopback(scope["client"][0]):
            return False
        hosts = []
        for name, value in scope["headers"]:
            if name == b"host":
                hosts.append(value)
            elif name == b"forwarded" or name.startswith(b"x-forwarded-"):
                return False
        return len(hosts) == 1 and self._LOOPBACK_HOST.fullmatch(hosts[0]) is not None


class CrossOrigin(CORSMiddleware):
    """Lets pages of some other origins call (the Fetch standard, section 3.3), and refuses others as all is refused."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=("Authorization", "If-Match", "If-None-Match", "X-Request-Id"),
            expose_headers=(
                "ETag",
                "Link",
                "Location",
                "Retry-After",
                "WWW-Authenticate",
                "X-Request-Id",
                "X-Total-Count",
            ),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except _NotAllowed:
            detail = "Pages of this origin may not call so; see USERPORT_CORS_ORIGINS."
            await problem(scope, HTTPStatus.BAD_REQUEST, "cross_origin_refused", detail)(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code != HTTPStatus.OK:
            raise _NotAllowed
        return Response(status_code=HTTPStatus.NO_CONTENT, headers=self._without_body(answer))

    @staticmethod
    def _without_body(answer: Response) -> dict[str, str]:
        return {name: value for name, value in answer.headers.items() if not name.startswith("content-")}


class _NotAllowed(Exception):
    """A page asks beforehand for what it may not do."""


class SameResource:
    """Serves HEAD wherever there is GET, and a path with a slash at its end like the one without."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        if len(path) > 1 and path.endswith("/"):
            scope = {**scope, "path": path[:-1]}
        if scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_without_body(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_without_body)


@lru_cache
def _is_loopback(peer: str) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(peer)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback
