"""What happens to every request, as plain ASGI: Starlette's own base class would cost more than a handler."""

import logging
import re
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from entrypoints.http.problems import problem

_log = logging.getLogger("userport.http")


class RequestId:
    """Gives every answer the `X-Request-Id` that its request came with, if that is sane, or a new one."""

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

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            await send(message)

        await self._app(scope, receive, send_with_id)


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

    _LOOPBACK_HOST: Final = re.compile(r"(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE)

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_local(scope):
            await self._app(scope, receive, send)
            return
        detail = "Without authentication this service answers only to the machine that it runs on."
        await problem(scope, HTTPStatus.FORBIDDEN, "not_local", detail)(scope, receive, send)

    def _is_local(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        return (
            scope["client"] is not None
            and _is_loopback(scope["client"][0])
            and not any(name == "forwarded" or name.startswith("x-forwarded-") for name in headers)
            and len(hosts) == 1
            and self._LOOPBACK_HOST.fullmatch(hosts[0]) is not None
        )


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


def _is_loopback(peer: str) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(peer)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback
