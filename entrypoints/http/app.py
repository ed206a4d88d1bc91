import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any, Final

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from domain.errors import DomainError, InvalidCredentials, InvalidRefreshToken
from entrypoints.background import background_work, watched_keys
from entrypoints.container import Container
from entrypoints.environment import SettingsError
from entrypoints.http.middleware.cross_origin import CrossOriginMiddleware
from entrypoints.http.middleware.head_and_trailing_slash import HeadAndTrailingSlashMiddleware
from entrypoints.http.middleware.loopback_only import LoopbackOnlyMiddleware
from entrypoints.http.middleware.request_id import RequestIdMiddleware
from entrypoints.http.middleware.request_outcome import RequestOutcomeMiddleware
from entrypoints.http.middleware.route_table import RouteTableMiddleware
from entrypoints.http.middleware.security_headers import SecurityHeadersMiddleware
from entrypoints.http.oauth import OAuthRequestError, oauth_problem
from entrypoints.http.openapi import TAGS, openapi_of
from entrypoints.http.pages import PageReader
from entrypoints.http.problems import domain_problem, http_problem, validation_problem
from entrypoints.http.routes import auth, docs, health, mail, posts, sessions, users
from entrypoints.settings import Settings, load_settings
from entrypoints.storage_by_url import storage_plugin
from entrypoints.telemetry import request_telemetry, start_tracing
from entrypoints.version import version

_log: Final = logging.getLogger("userport.http")

# Telemetry without a receiver would cost every request.
_NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False}

_TELEMETRY: Final = "fastapi.telemetry"

_EXCEPTION_HANDLERS: Final[Mapping[type[Exception], Any]] = {
    DomainError: domain_problem,
    InvalidCredentials: oauth_problem,
    InvalidRefreshToken: oauth_problem,
    OAuthRequestError: oauth_problem,
    HTTPException: http_problem,
    RequestValidationError: validation_problem,
}

_DESCRIPTION: Final = """
Users and their posts, on any storage.

- Every error is a problem document, `application/problem+json` (RFC 9457), and never echoes a value from the request.
  The errors that OAuth 2 defines have its own format.
- `HEAD` works wherever `GET` does. A trailing slash in a path makes no difference.
- Malformed HTTP returns 400 `malformed_request`, a target and headers that are too large 431 `head_too_large`, and a
  request that does not arrive in time 408 `request_timeout`. The connection then closes.
- Send a record's `ETag` in `If-Match` to change the record only if it is unchanged since then.
"""


def create_app(container: Container) -> FastAPI:
    """Return a standalone FastAPI app around the use cases of a container."""
    options: dict[str, Any] = {
        "title": "userport",
        "version": version(),
        "description": _DESCRIPTION,
        "license_info": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        "servers": [{"url": "/", "description": "The server that serves this document"}],
        "docs_url": None,
        "redoc_url": None,
        "telemetry": _telemetry(container),
    }
    tracing = container.tracing()
    app = FastAPI(**options) if tracing is None else _SampledApp(tracing.sampling.excludes, **options)
    install(app, container)
    return app


class _SampledApp(FastAPI):
    """An app that samples requests before FastAPI's telemetry, whose own `exclude` is much slower."""

    def __init__(self, excludes: Callable[[Scope], bool], **options: Any) -> None:
        super().__init__(**options)
        self._excludes: Final = excludes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _TELEMETRY not in scope and self._excludes(scope):
            scope[_TELEMETRY] = None  # as FastAPI marks a request that is excluded
            await Starlette.__call__(self, scope, receive, send)  # FastAPI.__call__ would only read the mark first
        else:
            await super().__call__(scope, receive, send)


def _telemetry(container: Container) -> TelemetryConfig | None:
    tracing = container.tracing()
    if tracing is not None:
        return request_telemetry(tracing)
    # None: a service that embeds the app may have configured a provider of their own.
    return None if "opentelemetry.sdk" in sys.modules else _NO_TELEMETRY


def install(app: FastAPI, container: Container) -> None:
    """Add userport to an app: its routes, exception handlers and middleware, and the lifespan of the container.

    The app may have other routes and middleware. Middleware that is added later wraps userport's, and sees responses as
    clients do.
    """
    settings = container.settings()
    app.state.container = container
    app.state.asks_for_tokens = settings.asks_for_tokens
    app.state.page_readers = {"users": PageReader(), "posts": PageReader()}
    for error, handler in _EXCEPTION_HANDLERS.items():
        app.add_exception_handler(error, handler)
    for middleware in reversed(_middleware(settings, container)):
        app.add_middleware(middleware.cls, *middleware.args, **middleware.kwargs)
    app.router.redirect_slashes = False  # `HeadAndTrailingSlashMiddleware` serves both forms
    app.include_router(APIRouter(lifespan=_lifespan(container)))
    routers = [users.sign_up_router, users.router, posts.router, health.router, docs.router]
    if settings.asks_for_tokens:
        from entrypoints.web import account  # with a template engine, which open mode does not need

        routers += [auth.router, sessions.router, mail.signed_in_router, mail.router, account.router]
    for router in routers:
        app.include_router(router)
    app.openapi_tags = [*(app.openapi_tags or ()), *TAGS]
    # FastAPI's documented way to extend the document.
    app.openapi = openapi_of(app, asks_for_tokens=settings.asks_for_tokens)  # type: ignore[method-assign]


def create_app_from_environment() -> FastAPI:
    """Return the app with settings from the environment, for servers that load apps by name."""
    return create_app(container_from_environment())


def container_from_environment() -> Container:
    """Return a container with settings from the environment. A wrong setting prints one line and exits with 2."""
    try:
        container = Container(settings=load_settings())
        start_tracing(container)
        container.storage()
        container.users()  # now, because requests would wait while its libraries load
        if container.settings().asks_for_tokens:
            # Now: the files may have changed by the first request or mail.
            container.signer()
            container.mail_sender()
    except SettingsError as error:
        sys.stderr.write(f"userport: {error}\n")  # in one piece: other workers write too
        raise SystemExit(2) from None
    return container


def _middleware(settings: Settings, container: Container) -> Sequence[Middleware]:
    """Return the middleware stack, outermost first."""
    origins = settings.cors_origins
    return [
        Middleware(RequestIdMiddleware, count_request=container.traffic().count_request),
        Middleware(SecurityHeadersMiddleware),
        Middleware(RequestOutcomeMiddleware, ended_requests=container.ended_requests()),
        *([] if settings.asks_for_tokens else [Middleware(LoopbackOnlyMiddleware, origins=origins)]),
        *([Middleware(CrossOriginMiddleware, origins=origins)] if origins else []),
        Middleware(HeadAndTrailingSlashMiddleware),
        Middleware(RouteTableMiddleware),
    ]


def _lifespan(container: Container) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        """Prepare an embedded storage at start-up, and close the storage at shutdown."""
        storage = container.storage()
        try:
            if storage_plugin(container.settings().storage).embedded:
                try:
                    await storage.prepare()
                except DomainError as error:
                    _log.warning("the storage is not ready: %s", error)  # requests and `/health/ready` will report it
            async with (
                watched_keys(container),
                container.gauges(),
                background_work(container) if container.settings().jobs else nullcontext(),
            ):
                yield
        finally:
            if (ended_requests := container.ended_requests()) is not None:
                ended_requests.flush()
            await storage.close()
            if (tracing := container.tracing()) is not None:
                await asyncio.to_thread(tracing.shutdown)

    return lifespan
