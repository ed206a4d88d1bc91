import re
from collections.abc import Awaitable, Iterable
from functools import lru_cache
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from entrypoints.http.problems import ProblemKind, problem_response

NOT_LOCAL: Final = ProblemKind(
    HTTPStatus.FORBIDDEN,
    "not_local",
    "In open mode this service only answers direct requests from its own machine, "
    "not requests through a proxy or from another site's web page.",
)

_LOOPBACK_HOST: Final = re.compile(rb"(localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?", re.IGNORECASE)
_ORIGIN: Final = re.compile(rb"(https?://)([^/?#]*)(?:[/?#].*)?", re.IGNORECASE)

# nginx speaks HTTP/1.0 to its upstreams by default, up to 1.29.6.
_VERSIONS: Final = ("1.1", "2", "3")

# Headers of ordinary clients, which need no further check.
_ORDINARY: Final = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"accept-language",
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-length",
        b"content-type",
        b"cookie",
        b"expect",
        b"if-match",
        b"if-none-match",
        b"pragma",
        b"sec-fetch-dest",
        b"sec-fetch-mode",
        b"sec-fetch-user",
        b"transfer-encoding",
        b"user-agent",
        b"x-request-id",
    }
)

# Headers that proxies, load balancers, CDNs, tunnels and TLS terminators add, and clients do not send.
_ADDED_BY_PROXY: Final = re.compile(
    rb"""
    (.*-)?via | (.*-)?forwarded(-.*)? | .*-ip | (x-)?remote-(addr|host|user)
    | x-(original|envoy|proxy|nginx|accel|arr|azure|ssl|client)-.*
    | x-(host|scheme|url-scheme|https|real-port|rewrite-url|request-start|queue-start|varnish)
    | (proxy|cf|cdn|cloudfront|fastly|ssl-client)-.*
    | max-forwards | front-end-https | surrogate-capability | alt-used | early-data
    """,
    re.VERBOSE,
)


class LoopbackOnlyMiddleware:
    """Guards open mode: rejects every request that does not come directly from a program on this machine.

    A proxy may serve anyone, so any trace of one is rejected. So is a request by a page of another site in a local
    browser: `Origin`, `Referer` or `Sec-Fetch-Site` reveal it, or `Host` after DNS rebinding. Local pages and pages of
    the configured `origins` may call.
    """

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        self._app = app
        self._origins = frozenset(origin.encode() for origin in origins)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or self._is_local(scope):
            return self._app(scope, receive, send)
        return problem_response(scope, *NOT_LOCAL)(scope, receive, send)

    def _is_local(self, scope: Scope) -> bool:
        if scope["client"] is None or not _is_loopback(scope["client"][0]) or scope["http_version"] not in _VERSIONS:
            return False
        hosts = 0
        has_origin = is_fetched_from_elsewhere = False
        for name, value in scope["headers"]:
            if name in _ORDINARY:
                continue
            if name == b"host":
                hosts += 1
                if _LOOPBACK_HOST.fullmatch(value) is None:
                    return False
            elif name in (b"origin", b"referer"):
                has_origin |= name == b"origin"
                if not self._may_call(value):
                    return False
            elif name == b"sec-fetch-site":
                is_fetched_from_elsewhere |= value not in (b"none", b"same-origin")
            elif _ADDED_BY_PROXY.fullmatch(name):
                return False
        # Images, scripts and links of a foreign page are requested without `Origin`.
        return hosts == 1 and (has_origin or not is_fetched_from_elsewhere)

    def _may_call(self, page: bytes) -> bool:
        parts = _ORIGIN.fullmatch(page)
        if parts is None:
            return False
        return _LOOPBACK_HOST.fullmatch(parts[2]) is not None or (parts[1] + parts[2]).lower() in self._origins


@lru_cache
def _is_loopback(peer: str) -> bool:
    try:
        address: IPv4Address | IPv6Address = ip_address(peer)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return address.is_loopback
