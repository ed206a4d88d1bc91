"""The responses of operations, as the OpenAPI document describes them.

The models only serve the document. Responses are encoded directly from entities, without a second validation.
"""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from domain.errors import DomainError, InvalidAccessToken, InvalidInput, NotSignedIn, StorageUnavailable, TooBusy
from entrypoints.http import examples
from entrypoints.http.bodies import BODY_TOO_LARGE, EMPTY_BODY, INVALID_JSON, UNSUPPORTED_MEDIA_TYPE
from entrypoints.http.examples import named
from entrypoints.http.middleware.loopback_only import NOT_LOCAL
from entrypoints.http.middleware.request_outcome import INTERNAL_ERROR
from entrypoints.http.oauth import OAuthError
from entrypoints.http.problems import HEAD_TOO_LARGE, MEDIA_TYPE, ProblemKind
from entrypoints.http.schemas import (
    Active,
    BioText,
    BodyText,
    EmailText,
    NameText,
    RoleText,
    TitleText,
    UsernameText,
)

Responses: TypeAlias = dict[int | str, dict[str, Any]]
Error: TypeAlias = ProblemKind | type[DomainError]
Mode: TypeAlias = Literal["open", "token"]

MODE: Final = "x-mode"
"""The member of an example, a response or a field of one that names the only mode in which it occurs.

`openapi` evaluates and removes it.
"""


_TIME_PATTERN: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$"

Id = Annotated[
    str,
    Field(
        description="A UUID (RFC 9562); ids sort by creation time.",
        json_schema_extra={
            "format": "uuid",
            "readOnly": True,
            "examples": ["01a1fc03-c17d-75ed-bf71-79e707db80f3"],
        },
    ),
]
Time = Annotated[
    str,
    Field(
        description="RFC 3339, in UTC, with milliseconds.",
        json_schema_extra={
            "format": "date-time",
            "pattern": _TIME_PATTERN,
            "readOnly": True,
            "examples": ["2026-11-20T20:36:00.123Z"],
        },
    ),
]


class User(BaseModel):
    """A user."""

    model_config = ConfigDict(extra="forbid")

    id: Id
    email: EmailText
    name: NameText
    username: UsernameText | None
    bio: BioText | None
    role: RoleText
    active: Active
    email_verified: bool = Field(
        description="Whether a link that was mailed to the address has been used.", json_schema_extra={MODE: "token"}
    )
    created_at: Time
    updated_at: Time


class Post(BaseModel):
    """A post."""

    model_config = ConfigDict(extra="forbid")

    id: Id
    author_id: Id
    title: TitleText
    body: BodyText
    created_at: Time
    updated_at: Time


class Session(BaseModel):
    """A signed-in client."""

    model_config = ConfigDict(extra="forbid")

    id: Id
    user_agent: str | None = Field(description="The `User-Agent` with which the client signed in.")
    current: bool = Field(description="Whether it is the session of this request.")
    created_at: Time
    last_used_at: Time
    expires_at: Time


class Problem(BaseModel):
    """Why a request failed (RFC 9457). It never repeats a value that the client sent."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(description="The name of the HTTP status.", examples=["Not Found"])
    status: int = Field(ge=400, le=599, examples=[404])
    detail: str = Field(description="An explanation for people.", examples=["There is no such user."])
    instance: str = Field(description="The path of the request.", examples=["/users/1"])
    code: str = Field(description="Stable and machine-readable.", examples=["user_not_found"])
    request_id: str = Field(description="As in the header X-Request-Id.", examples=[examples.REQUEST_ID])


class InvalidField(BaseModel):
    """A field or parameter that was rejected."""

    pointer: str = Field(description="A JSON Pointer into the body, or the name of a parameter.", examples=["/email"])
    code: str = Field(description="Stable and machine-readable.", examples=["invalid_email"])
    detail: str = Field(description="An explanation for people.", examples=["must be an email address: it has no @"])


class ValidationProblem(Problem):
    """Which fields or parameters break the rules."""

    errors: list[InvalidField]


def header(description: str, *, required: bool = True, **schema: Any) -> dict[str, Any]:
    return {"description": description, "required": required, "schema": {"type": "string", **schema}}


_REQUEST_ID: Final = {
    "X-Request-Id": header("The id that the request was sent with, or a new one.", minLength=1, maxLength=128)
}
_PRIVATE: Final = {"Cache-Control": header("Caches of one user may keep the response, and revalidate it every time.")}
_NOT_STORED: Final = {"Cache-Control": header("Always `no-store`.")}
_TAGGED: Final = {
    "ETag": header(
        "A strong entity tag of the record's version and id (RFC 9110, section 8.8.3).",
        pattern='^"[1-9][0-9]*-[0-9a-f]{16}"$',
    ),
    **_PRIVATE,
}


def _response(description: str, headers: Mapping[str, Any] | None = None, **content: Any) -> dict[str, Any]:
    """Return the description of a response. `content` holds examples of a JSON body; FastAPI adds the schema."""
    response: dict[str, Any] = {"description": description, "headers": {**(headers or {}), **_REQUEST_ID}}
    return {**response, "content": {"application/json": content}} if content else response


def found(record: Mapping[str, Any]) -> Responses:
    return {
        200: _response("The record.", _TAGGED, examples=named(record=("A record", record))),
        304: _response("The client's copy is still current.", _TAGGED),
    }


def created(record: Mapping[str, Any]) -> Responses:
    headers = {"Location": header("The path of the new record.", format="uri-reference"), **_TAGGED}
    return {201: _response("The new record.", headers, examples=named(record=("A new record", record)))}


def changed(record: Mapping[str, Any]) -> Responses:
    return {200: _response("The changed record.", _TAGGED, examples=named(record=("A record", record)))}


def page_of(record: Mapping[str, Any]) -> Responses:
    headers = {
        "Link": header('The next page: `<…>; rel="next"` (RFC 8288). Absent on the last page.', required=False),
        "X-Total-Count": header(
            "The number of records in the whole list, with `count=true`.", required=False, type="integer", minimum=0
        ),
        **_PRIVATE,
    }
    pages = named(page=("A page", [record]), empty=("No record matches", []))
    return {200: _response("A page of the list.", headers, examples=pages)}


def no_content(description: str) -> Responses:
    return {204: _response(description)}


def accepted(description: str, mode: Mode | None = None) -> Responses:
    """Describe the response to a request for mail; `mode` is the only mode in which it occurs."""
    return {202: {**_response(description), **({MODE: mode} if mode else {})}}


HEALTHY: Final[Responses] = {
    200: _response("Healthy.", _NOT_STORED, examples=named(healthy=("Healthy", {"status": "ok"})))
}
SESSIONS: Final[Responses] = {
    200: _response("The active sessions.", _PRIVATE, examples=named(sessions=("One session", [examples.SESSION])))
}
KEYS: Final[Responses] = {
    200: _response(
        "The public keys.",
        {"Cache-Control": header("How long the keys may be cached.")},
        examples=named(keys=("One key", examples.KEYS)),
    )
}
TOKENS: Final[Responses] = {
    200: _response(
        "An access token and a refresh token.",
        {**_NOT_STORED, "Pragma": header("Always `no-cache`.")},
        examples=named(tokens=("Tokens", examples.TOKENS)),
    )
}
REVOKED: Final[Responses] = {200: _response("The session of the token has ended.", _NOT_STORED)}

BODY_ERRORS: Final = (EMPTY_BODY, INVALID_JSON, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, InvalidInput)
"""The errors of an operation with a JSON body."""


def error_responses(*errors: Error, token_mode: Iterable[Error] = (), uses_storage: bool = True) -> Responses:
    """Return the errors of an operation, with an example each. `token_mode` lists those that only token mode has.

    Includes the errors that any operation may have: headers that are too large, a bug, a storage outage, and in
    open mode a caller from another machine. The document adds authentication errors where they apply.
    """
    responses: Responses = {}
    storage_errors = (StorageUnavailable, TooBusy) if uses_storage else ()
    for error in (*errors, HEAD_TOO_LARGE, INTERNAL_ERROR, *storage_errors):
        _add(responses, error, None)
    for error in token_mode:
        _add(responses, error, "token")
    _add(responses, NOT_LOCAL, "open")
    return responses


def authentication_errors() -> Responses:
    responses: Responses = {}
    for error in (NotSignedIn, InvalidAccessToken):
        _add(responses, error, "token")
    return responses


def _add(responses: Responses, error: Error, mode: Mode | None) -> None:
    kind = error if isinstance(error, ProblemKind) else ProblemKind.of(error)
    response = responses.setdefault(int(kind.status), _error_response(kind.status))
    problem = {
        "type": "about:blank",
        "title": kind.title,
        "status": kind.status.value,
        "detail": kind.detail,
        "instance": "/",
        "code": kind.code,
        "request_id": examples.REQUEST_ID,
        **({"errors": [examples.INVALID_FIELD]} if error is InvalidInput else {}),
    }
    example = {"summary": kind.detail, "value": problem, **({MODE: mode} if mode else {})}
    response["content"][MEDIA_TYPE]["examples"][kind.code] = example


def _error_response(status: HTTPStatus) -> dict[str, Any]:
    headers = dict(_NOT_STORED)
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers["Retry-After"] = header("Seconds to wait.", type="integer", minimum=0)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = header("RFC 6750, section 3.", pattern="^Bearer")
    schema = ValidationProblem if status == HTTPStatus.UNPROCESSABLE_ENTITY else Problem
    content = {"schema": {"$ref": f"#/components/schemas/{schema.__name__}"}, "examples": {}}
    return {**_response("", headers), "content": {MEDIA_TYPE: content}}


def oauth_errors(**errors: str) -> Responses:
    """Return the errors that RFC 6749 defines, in its own format, from a description of each code."""
    values = {
        code: (description, {"error": code, "error_description": description}) for code, description in errors.items()
    }
    content = {"schema": {"$ref": f"#/components/schemas/{OAuthError.__name__}"}, "examples": named(**values)}
    response = _response(" ".join(errors.values()), _NOT_STORED)
    return {int(HTTPStatus.BAD_REQUEST): {**response, "content": {"application/json": content}}}
