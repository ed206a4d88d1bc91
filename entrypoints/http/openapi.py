"""The OpenAPI document: what FastAPI cannot know of the answers by itself."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from entrypoints.http.bodies import ACCEPTED
from entrypoints.http.oauth import FORM, OAuthError
from entrypoints.http.problems import MEDIA_TYPE

Responses: TypeAlias = dict[int | str, dict[str, Any]]


class Problem(BaseModel):
    """Why a request was refused or failed (RFC 9457). It never repeats a value that the client sent."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(description="The name of the HTTP status.", examples=["Not Found"])
    status: int = Field(ge=400, le=599, examples=[404])
    detail: str = Field(description="A sentence for people.", examples=["There is no such user."])
    instance: str = Field(description="The path of the request.", examples=["/users/1"])
    code: str = Field(description="Stable, for machines.", examples=["user_not_found"])
    request_id: str = Field(
        description="As in the header X-Request-Id.", examples=["b2c5f1a0-6a51-4b8e-9d52-1d5c0c9f8a3e"]
    )


class InvalidField(BaseModel):
    """One field or parameter that was refused."""

    pointer: str = Field(description="A JSON Pointer into the body, or the name of a parameter.", examples=["/email"])
    code: str = Field(description="Stable, for machines.", examples=["invalid_email"])
    detail: str = Field(description="What is wrong, for people.", examples=["must be an email address: it has no @"])


class InvalidInput(Problem):
    """Which fields or parameters break the rules."""

    model_config = ConfigDict(title="InvalidInput")

    errors: list[InvalidField]


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "required": True, "schema": {"type": "string", **schema}}


_REQUEST_ID: Final = {
    "X-Request-Id": _header("The id that the request came with, or a new one.", minLength=1, maxLength=128)
}
_CACHED: Final = {"Cache-Control": _header("User data is private and always checked again.")}
_TAGGED: Final = {
    "ETag": _header(
        "A strong tag of the record's version and id (RFC 9110, section 8.8.3).", pattern='^"[1-9][0-9]*-[0-9a-f]{16}"$'
    ),
    **_CACHED,
}
_BY_CALLER: Final = {"Vary": _header("The response depends on the caller.", const="Authorization")}
_NOT_STORED: Final = {"Cache-Control": _header("Always `no-store`.")}
_OPTIONAL: Final = {"required": False}


def _answer(description: str, headers: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"description": description, "headers": {**(headers or {}), **_REQUEST_ID}}


FOUND: Final[Responses] = {
    200: _answer("The record.", _TAGGED),
    304: _answer("What the client has is still current.", _TAGGED),
}
CREATED: Final[Responses] = {
    201: _answer("The new record.", {"Location": _header("Its path.", format="uri-reference"), **_TAGGED})
}
CHANGED: Final[Responses] = {200: _answer("The record as it is now.", _TAGGED)}
HEALTHY: Final[Responses] = {200: _answer("It is well.", _NOT_STORED)}
PASSWORD_CHANGED: Final[Responses] = {204: _answer("It is changed.")}
REMOVED: Final[Responses] = {204: _answer("It is gone.")}
LISTED: Final[Responses] = {
    200: _answer(
        "One page of the list.",
        {
            "Link": _header('The next page, `<…>; rel="next"` (RFC 8288); absent on the last one.') | _OPTIONAL,
            "X-Total-Count": _header("How many there are, if asked for.", type="integer", minimum=0) | _OPTIONAL,
            **_CACHED,
        },
    )
}

OWN_SESSIONS: Final[Responses] = {200: _answer("The sessions that go on.", _CACHED)}
KEYS: Final[Responses] = {200: _answer("The keys.", {"Cache-Control": _header("For how long they can be kept.")})}

_REFUSED_BY_OAUTH: Final = _answer("`invalid_request`, `invalid_grant` or `unsupported_grant_type`.", _NOT_STORED) | {
    "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{OAuthError.__name__}"}}}
}
GRANTED: Final[Responses] = {
    200: _answer("The tokens.", {**_NOT_STORED, "Pragma": _header("Always `no-cache`.")}),
    400: _REFUSED_BY_OAUTH,
}
REVOKED: Final[Responses] = {200: _answer("The token is good for nothing now.", _NOT_STORED), 400: _REFUSED_BY_OAUTH}

_REFUSALS: Final = {
    400: "The body is empty or no JSON, or the cursor is damaged or foreign.",
    401: "There is no access token, or none that is valid.",
    403: "The caller may not do this.",
    404: "There is no such record.",
    409: "Another record has this email or username, `email_taken`, `username_taken`; or this is the `last_admin`.",
    412: "The record is at another version than `If-Match` names.",
    413: "The body is larger than 256 KiB.",
    415: "The body is of another media type.",
    422: "Some fields or parameters break the rules.",
    429: "Too many sign-ins have failed.",
    500: "The service has a bug.",
    503: "The storage cannot be reached, or the service is too busy.",
}
_OF_A_BODY: Final = (400, 413, 415, 422)
_OF_ANY: Final = (500, 503)
_NOT_LOCAL: Final = "Nobody may from another machine."
_SCHEME: Final = "password"
_WITH_TOKENS: Final = "x-with-tokens"


def error_responses(*statuses: int | Literal["body"], with_tokens: Collection[int] = ()) -> Responses:
    """Describe the error responses of a call: those named, all that a body can cause for "body", and two more.

    Those `with_tokens` come of who the caller is, and so are none where nobody signs in.
    """
    own = [status for named in statuses for status in (_OF_A_BODY if named == "body" else (named,))]
    described: Responses = {int(status): _refusal(int(status)) for status in (*own, *_OF_ANY)}
    return {**described, **{status: _refusal(status) | {_WITH_TOKENS: True} for status in with_tokens}}


def _refusal(status: int) -> dict[str, Any]:
    schema = InvalidInput if status == HTTPStatus.UNPROCESSABLE_ENTITY else Problem
    headers = dict(_NOT_STORED)
    if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        headers["Retry-After"] = _header("Seconds to wait.", type="integer", minimum=0)
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = _header("RFC 6750, section 3.", pattern="^Bearer")
    answer = _answer(_REFUSALS[status], headers)
    answer["content"] = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{schema.__name__}"}}}
    return answer


def openapi_of(app: FastAPI, *, asks_for_tokens: bool) -> Callable[[], dict[str, Any]]:
    """Wrap the app's `openapi` so that its document tells the whole truth, for the mode that the app is in."""
    generate = app.openapi
    complete = _with_tokens if asks_for_tokens else _without_tokens

    completed: dict[str, Any] | None = None

    def openapi() -> dict[str, Any]:
        nonlocal completed
        document = generate()  # the same object, unless routes were added
        if document is not completed:
            completed = complete(_complete(document))
        return completed

    return openapi


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    for model in (Problem, InvalidField, InvalidInput, OAuthError):
        schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas[model.__name__].pop("$defs", None)
    for framework_schema in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework_schema, None)
    for method, operation in _operations(document):
        _drop_framework_422(operation["responses"])
        _drop_nulls(operation.get("parameters", ()))
        if "415" in operation["responses"]:
            _name_what_is_accepted(operation, *ACCEPTED[method])
    return document


def _with_tokens(document: dict[str, Any]) -> dict[str, Any]:
    """Say which calls need an access token, and where there is one."""
    flow = {"tokenUrl": "/auth/token", "refreshUrl": "/auth/token", "scopes": {}}
    document["components"]["securitySchemes"] = {_SCHEME: {"type": "oauth2", "flows": {"password": flow}}}
    for _, operation in _operations(document):
        for answer in operation["responses"].values():
            answer.pop(_WITH_TOKENS, None)
        if "401" in operation["responses"]:
            is_sign_up = operation["operationId"] == "create_user"
            operation["security"] = [*([{}] if is_sign_up else []), {_SCHEME: []}]
            for answer in operation["responses"].values():
                answer["headers"] = {**answer["headers"], **_BY_CALLER}
    return document


def _without_tokens(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what comes of tokens alone, and say that every call can come from elsewhere in vain."""
    document["components"]["schemas"].pop(OAuthError.__name__)
    for _, operation in _operations(document):
        answers = {status: answer for status, answer in operation["responses"].items() if _WITH_TOKENS not in answer}
        answers.setdefault("403", _refusal(HTTPStatus.FORBIDDEN))["description"] += f" {_NOT_LOCAL}"
        operation["responses"] = answers
    return document


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path in document["paths"].values():
        for method, operation in path.items():
            yield method.upper(), operation


def _drop_framework_422(responses: dict[str, Any]) -> None:
    """FastAPI promises its own 422 for every call with parameters, even where nothing can be wrong with them."""
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]


def _drop_nulls(parameters: Iterable[dict[str, Any]]) -> None:
    """A parameter can be left out, but it cannot be null as a field can."""
    null = {"type": "null"}
    for parameter in parameters:
        schema = parameter["schema"]
        if null in schema.get("anyOf", ()):
            for alternative in schema.pop("anyOf"):
                schema.update({} if alternative == null else alternative)


def _name_what_is_accepted(operation: dict[str, Any], header: str, media_types: tuple[str, ...]) -> None:
    content = operation["requestBody"]["content"]
    if FORM in content:
        media_types = (FORM,)
    else:
        schema = content.pop("application/json")
        content.update(dict.fromkeys(media_types, schema))
    operation["responses"]["415"]["headers"][header] = _header(f"Always `{', '.join(media_types)}`.")
