from collections.abc import Awaitable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# OWASP REST Security Cheat Sheet: browsers must neither render nor run an API response.
SECURITY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_CONTENT_SECURITY_POLICY: Final = SECURITY_HEADERS[-1][0]
_WITHOUT_POLICY: Final = SECURITY_HEADERS[:-1]
_STRICT_TRANSPORT_SECURITY: Final = (b"strict-transport-security", b"max-age=31536000")

VARIES: Final = "varies_by_caller"
"""Key in the request's state; true if the response, or error, depends on the caller."""
_VARY: Final = (b"vary", b"Authorization")


class SecurityHeadersMiddleware:
    """Adds headers that keep browsers from sniffing, framing or running a response, and shared caches from storing it.

    An HTML response sets its own `Content-Security-Policy`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                headers += _WITHOUT_POLICY if _CONTENT_SECURITY_POLICY in dict(headers) else SECURITY_HEADERS
                if scope["scheme"] == "https":
                    headers.append(_STRICT_TRANSPORT_SECURITY)
                if VARIES in scope["state"]:
                    headers.append(_VARY)
                message["headers"] = headers
            return send(message)

        return self._app(scope, receive, send_with_headers)
