from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Match
from starlette.types import Scope

from domain.errors import DomainError, InvalidCredentials, InvalidRefreshToken
from entrypoints.container import Container
from entrypoints.http.middleware.cross_origin import CrossOriginMiddleware
from entrypoints.http.middleware.head_and_trailing_slash import HeadAndTrailingSlashMiddleware
from entrypoints.http.middleware.internal_error import InternalErrorMiddleware
from entrypoints.http.middleware.loopback_only import LoopbackOnlyMiddleware
from entrypoints.http.middleware.request_id import RequestIdMiddleware
from entrypoints.http.middleware.security_headers import SecurityHeadersMiddleware
from entrypoints.http.oauth import OAuthRequestError, oauth_problem
from entrypoints.http.openapi import openapi_of
from entrypoints.http.problems import domain_problem, http_problem, validation_problem
from entrypoints.http.routes import auth, docs, health, posts, sessions, users
from entrypoints.http.routing import DirectApp
from entrypoints.settings import load_settings
from entrypoints.version import version

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

# Without an SDK there is nobody to tell, and FastAPI would look for somebody anew at each request.
_NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False}

_DESCRIPTION: Final = """
Users and their posts, whatever storage is behind them.

- Every error is `application/problem+json` (RFC 9457) and never repeats a value that was sent.
- `HEAD` works wherever `GET` does; a slash at the end of a path changes nothing.
- What is not even HTTP is refused with 400 `malformed_request`, a request with too much before its body with 431
  `head_too_large`.
- Give a record's `ETag` back in `If-Match` to change only what you have seen.
"""


def create_app(container: Container) -> FastAPI:
    """Make the ASGI app around a container, whose storage it closes when it is shut down."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await container.storage().close()

    settings = container.settings()
    tokens = settings.asks_for_tokens
    middleware = [
        Middleware(RequestIdMiddleware),
        Middleware(SecurityHeadersMiddleware),
        Middleware(InternalErrorMiddleware),
    ]
    if not tokens:
        middleware.append(Middleware(LoopbackOnlyMiddleware, origins=settings.cors_origins))
    if settings.cors_origins:
        middleware.append(Middleware(CrossOriginMiddleware, origins=settings.cors_origins))
    middleware.append(Middleware(HeadAndTrailingSlashMiddleware))
    app = DirectApp(
        title="userport",
        version=version(),
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        middleware=middleware,
        telemetry=None if find_spec("opentelemetry.sdk") else _NO_TELEMETRY,
        exception_handlers={
            DomainError: domain_problem,
            InvalidCredentials: oauth_problem,
            InvalidRefreshToken: oauth_problem,
            OAuthRequestError: oauth_problem,
            HTTPException: http_problem,
            RequestValidationError: validation_problem,
        },
    )
    routers = [users.sign_up_router, users.router, posts.router, health.router, docs.router]
    for router in [*routers, *([auth.router, sessions.router] if tokens else [])]:
        app.add_router(router)
    app.state.container = container
    app.state.methods_at = lambda scope: _methods_at(app, scope)
    app.openapi = openapi_of(app, asks_for_tokens=tokens)  # type: ignore[method-assign] # FastAPI's documented way to extend it
    return app


def create_app_from_environment() -> FastAPI:
    """Make the app of a worker process, which finds its settings in the environment."""
    container = Container(settings=load_settings())
    if container.settings().asks_for_tokens:
        container.signer()  # now, since the first request that needs it may find another file
    return create_app(container)


def _methods_at(app: FastAPI, scope: Scope) -> list[str]:
    """List the methods that the path of a request has; the router itself would name those of one route alone."""
    probes = ((method, {**scope, "method": method}) for method in _METHODS)
    methods = [method for method, probe in probes if any(route.matches(probe)[0] is Match.FULL for route in app.routes)]
    return ["GET", "HEAD", *methods[1:]] if "GET" in methods else methods
