import re
from functools import lru_cache
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from entrypoints.http.problems import problem_response

_LOOPBACK_HOST: Final = re.compile(rb"(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE)


class LoopbackOnlyMiddleware:
    """Guards open mode: refuses every request that does not come straight from this machine.

    A forwarding header reveals a proxy, behind which the client may be anywhere. A foreign `Host` reveals a browser
    that was led here by a name which resolves to this machine (DNS rebinding).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_local(scope):
            await self._app(scope, receive, send)
            return
        detail = "Without authentication this service answers only requests from the machine that it runs on."
        await problem_response(scope, HTTPStatus.FORBIDDEN, "not_local", detail)(scope, receive, send)


def _is_local(scope: Scope) -> bool:
    if scope["client"] is None or not _is_loopback(scope["client"][0]):
        return False
    hosts = []
    for name, value in scope["headers"]:
        if name == b"host":
            hosts.append(value)
        elif name == b"forwarded" or name.startswith(b"x-forwarded-"):
            return False
    return len(hosts) == 1 and _LOOPBACK_HOST.fullmatch(hosts[0]) is not None


@lru_cache
def _is_loopback(peer: str) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(peer)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback
