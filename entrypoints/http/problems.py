"""Render every error as `application/problem+json` (RFC 9457). No value sent by a client is ever echoed."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote

import orjson
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from domain.errors import (
    AlreadyVerified,
    ConfirmationRequired,
    DomainError,
    EmailTaken,
    FieldError,
    HasPassword,
    IdTaken,
    InvalidAccessToken,
    InvalidCredentials,
    InvalidInput,
    InvalidOneTimeToken,
    InvalidRecord,
    InvalidRefreshToken,
    LastAdmin,
    NotPermitted,
    NotSignedIn,
    PostNotFound,
    SessionNotFound,
    StaleVersion,
    StorageNotPrepared,
    StorageUnavailable,
    TooBusy,
    TooManyFailures,
    TooManyMailRequests,
    UsernameTaken,
    UserNotFound,
    VersionMismatch,
    WrongPassword,
)

_log = logging.getLogger("userport.http")

MEDIA_TYPE: Final = "application/problem+json"

STATUS_BY_ERROR: Final[Mapping[type[DomainError], HTTPStatus]] = {
    InvalidInput: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidRecord: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidCredentials: HTTPStatus.BAD_REQUEST,
    InvalidRefreshToken: HTTPStatus.BAD_REQUEST,
    InvalidOneTimeToken: HTTPStatus.BAD_REQUEST,
    NotSignedIn: HTTPStatus.UNAUTHORIZED,
    InvalidAccessToken: HTTPStatus.UNAUTHORIZED,
    NotPermitted: HTTPStatus.FORBIDDEN,
    WrongPassword: HTTPStatus.FORBIDDEN,
    ConfirmationRequired: HTTPStatus.FORBIDDEN,
    SessionNotFound: HTTPStatus.NOT_FOUND,
    UserNotFound: HTTPStatus.NOT_FOUND,
    PostNotFound: HTTPStatus.NOT_FOUND,
    EmailTaken: HTTPStatus.CONFLICT,
    UsernameTaken: HTTPStatus.CONFLICT,
    IdTaken: HTTPStatus.CONFLICT,
    LastAdmin: HTTPStatus.CONFLICT,
    AlreadyVerified: HTTPStatus.CONFLICT,
    HasPassword: HTTPStatus.CONFLICT,
    VersionMismatch: HTTPStatus.PRECONDITION_FAILED,
    StaleVersion: HTTPStatus.PRECONDITION_FAILED,
    TooManyFailures: HTTPStatus.TOO_MANY_REQUESTS,
    TooManyMailRequests: HTTPStatus.TOO_MANY_REQUESTS,
    TooBusy: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    StorageNotPrepared: HTTPStatus.SERVICE_UNAVAILABLE,
}

# Reason phrases of RFC 9110; those of `HTTPStatus` depend on the Python version.
_TITLES: Final = {413: "Content Too Large", 422: "Unprocessable Content"}


class ProblemKind(NamedTuple):
    """The common part of all problems with one code; the arguments of `RequestProblem` and `problem_response`."""

    status: HTTPStatus
    code: str
    detail: str

    @classmethod
    def of(cls, error: type[DomainError]) -> Self:
        """Return the problem that clients see for a domain error."""
        status = next(STATUS_BY_ERROR[kind] for kind in error.__mro__ if kind in STATUS_BY_ERROR)
        return cls(status, error.code, error.sentence)

    @property
    def title(self) -> str:
        return _TITLES.get(self.status, self.status.phrase)


NOT_FOUND: Final = ProblemKind(HTTPStatus.NOT_FOUND, "not_found", "No resource exists at this path.")
DRAINING: Final = ProblemKind(
    HTTPStatus.SERVICE_UNAVAILABLE, "draining", "This process is about to stop: send requests to another one."
)
"""Its code is also the key in the state that the server passes to requests (ASGI's lifespan state)."""

# Returned by the server before the app sees a request.
MALFORMED_REQUEST: Final = ProblemKind(HTTPStatus.BAD_REQUEST, "malformed_request", "This is not an HTTP request.")
HEAD_TOO_LARGE: Final = ProblemKind(
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", "Target and headers are too large."
)
HEAD_TIMEOUT: Final = ProblemKind(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The head did not arrive in time.")
BODY_TIMEOUT: Final = ProblemKind(HTTPStatus.REQUEST_TIMEOUT, "request_timeout", "The body did not arrive in time.")
TOO_MANY_CONNECTIONS: Final = ProblemKind(
    HTTPStatus.SERVICE_UNAVAILABLE, "too_busy", "The service has too many connections."
)

# Code and detail of the errors that the framework itself raises, by status.
_FRAMEWORK_ERRORS: Final = {
    kind.status: kind
    for kind in (
        NOT_FOUND,
        ProblemKind(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "The resource does not support this method; see Allow.",
        ),
        ProblemKind(HTTPStatus.BAD_REQUEST, "bad_request", "The request could not be read."),
    )
}

# Pydantic's error types, mapped to the codes of the HTTP contract.
_VALIDATION_ERRORS: Final = {
    "missing": ("required", "is required"),
    "extra_forbidden": ("not_writable", "is not a field or parameter that may be sent here"),
    "too_long": ("too_many_members", "has too many unknown members or parameters"),
    "enum": ("not_allowed", "is not one of the allowed values"),
    "literal_error": ("not_allowed", "is not one of the allowed values"),
    "greater_than_equal": ("out_of_range", "is smaller than allowed"),
    "less_than_equal": ("out_of_range", "is greater than allowed"),
}
_WRONG_TYPE: Final = ("wrong_type", "has the wrong type")

_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")

_MAX_ERRORS: Final = 100
_RETRY_AFTER_SECONDS: Final = 1


class RequestProblem(HTTPException):
    """A request that the HTTP layer rejects before it reaches a use case."""

    def __init__(self, status: HTTPStatus, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)
        self.code = code


def problem_response(
    scope: Scope,
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    errors: Sequence[Mapping[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return a problem document (RFC 9457) as a response."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": ProblemKind(status, code, detail).title,
        "status": status.value,
        "detail": detail,
        "instance": quote(scope["path"], safe="/:@!$&'()*+,;=~"),
        "code": code,
        "request_id": scope["state"]["request_id"],
    }
    if errors is not None:
        content["errors"] = errors
    more = {"Retry-After": str(_RETRY_AFTER_SECONDS)} if status == HTTPStatus.SERVICE_UNAVAILABLE else {}
    return Response(
        orjson.dumps(content),
        status.value,
        {"Cache-Control": "no-store", **more, **(headers or {})},
        media_type=MEDIA_TYPE,
    )


async def domain_problem(request: Request, error: Exception) -> Response:
    """Return the response for a domain error."""
    assert isinstance(error, DomainError)  # noqa: S101 - Starlette calls this for no other
    kind = ProblemKind.of(type(error))
    if kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        _log.warning("request %s: %s", request.scope["state"]["request_id"], error)
    # Use the sentence of the class only: an instance's text may contain details for the operator.
    errors = None
    if isinstance(error, InvalidInput):
        errors = [_field_error(request, refused) for refused in error.errors]
    return problem_response(request.scope, *kind, errors=errors, headers=_headers(error))


async def http_problem(request: Request, error: Exception) -> Response:
    """Return the response for an error of the framework or the HTTP layer."""
    assert isinstance(error, HTTPException)  # noqa: S101 - Starlette calls this for no other
    status = HTTPStatus(error.status_code)
    if isinstance(error, RequestProblem):
        return problem_response(request.scope, status, error.code, error.detail, headers=error.headers)
    kind = _FRAMEWORK_ERRORS.get(status, ProblemKind(status, status.name.lower(), f"{status.phrase}."))
    headers = error.headers
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(_allowed_methods(request))}
    return problem_response(request.scope, *kind, headers=headers)


async def validation_problem(request: Request, error: Exception) -> Response:
    """Return a 422 that lists the missing, unknown or wrongly typed fields or parameters."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - FastAPI calls this for no other
    errors = []
    for found in error.errors()[:_MAX_ERRORS]:
        place, *path = found["loc"]
        code, detail = _VALIDATION_ERRORS.get(found["type"], _WRONG_TYPE)
        pointer = _json_pointer(path) if place == "body" else str(path[-1] if path else place)
        errors.append({"pointer": pointer, "code": code, "detail": detail})
    return problem_response(request.scope, *ProblemKind.of(InvalidInput), errors=errors)


def _allowed_methods(request: Request) -> Sequence[str]:
    """Return the methods of all routes at the path of a request; the router only reports those of the first."""
    probes = ((method, {**request.scope, "method": method}) for method in _METHODS)
    routes: Sequence[BaseRoute] = request.app.routes
    methods = [method for method, probe in probes if any(route.matches(probe)[0] is Match.FULL for route in routes)]
    return ["GET", "HEAD", *methods[1:]] if "GET" in methods else methods


def _headers(error: DomainError) -> Mapping[str, str]:
    match error:
        case NotSignedIn():
            return {"WWW-Authenticate": "Bearer"}
        case InvalidAccessToken():
            return {"WWW-Authenticate": 'Bearer error="invalid_token"'}  # RFC 6750, section 3.1
        case TooManyFailures() | TooManyMailRequests():
            return {"Retry-After": str(error.wait_seconds)}
    return {}


def _field_error(request: Request, refused: FieldError) -> Mapping[str, str]:
    in_query = request.method == "GET"
    pointer = refused.field if in_query else _json_pointer([refused.field])
    return {"pointer": pointer, "code": refused.code, "detail": refused.detail}


def _json_pointer(path: Sequence[str | int]) -> str:
    """Return the JSON Pointer (RFC 6901) for a location in the body.

    Pydantic reports a field name with a lone surrogate as an error of the whole body, so none gets here.
    """
    return "".join("/" + str(name).replace("~", "~0").replace("/", "~1") for name in path)
