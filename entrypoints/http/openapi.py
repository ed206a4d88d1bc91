"""The OpenAPI document: what FastAPI cannot know of the answers by itself."""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal, TypeAlias

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from entrypoints.http.bodies import ACCEPTED
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
    "ETag": _header("A strong tag of the record's version (RFC 9110, section 8.8.3).", pattern='^"[1-9][0-9]*"$'),
    **_CACHED,
}
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
HEALTHY: Final[Responses] = {200: _answer("It is well.", {"Cache-Control": _header("Always `no-store`.")})}
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

_REFUSALS: Final = {
    400: "The body is empty or no JSON, or the cursor is damaged or foreign.",
    403: "The request does not come from this machine.",
    404: "There is no such record.",
    409: "Another record has this email or username: `email_taken`, `username_taken`.",
    412: "The record is at another version than `If-Match` names.",
    413: "The body is larger than 256 KiB.",
    415: "The body is of another media type.",
    422: "Some fields or parameters break the rules.",
    500: "The service has a bug.",
    503: "The storage cannot be reached, or the service is too busy.",
}
_OF_A_BODY: Final = (400, 413, 415, 422)
_OF_ANY: Final = (403, 500, 503)


def refusals(*statuses: int | Literal["body"]) -> Responses:
    """Describe the refusals of a call: those named, all that a body can meet for "body", and those of every call."""
    own = [status for named in statuses for status in (_OF_A_BODY if named == "body" else (named,))]
    return {int(status): _refusal(int(status)) for status in sorted({*own, *_OF_ANY})}


def _refusal(status: int) -> dict[str, Any]:
    schema = InvalidInput if status == HTTPStatus.UNPROCESSABLE_ENTITY else Problem
    headers = {"Cache-Control": _header("Always `no-store`.")}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = _header("Seconds to wait.", type="integer", minimum=0)
    answer = _answer(_REFUSALS[status], headers)
    answer["content"] = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{schema.__name__}"}}}
    return answer


def openapi_of(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """Wrap the app's `openapi` so that its document tells the whole truth."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(generate())
        return app.openapi_schema

    return openapi


def _complete(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    for model in (Problem, InvalidField, InvalidInput):
        schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas[model.__name__].pop("$defs", None)
    for framework_schema in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework_schema, None)
    for path in document["paths"].values():
        for method, operation in path.items():
            _drop_framework_422(operation["responses"])
            _drop_nulls(operation.get("parameters", ()))
            if method.upper() in ACCEPTED:
                _name_what_is_accepted(operation, *ACCEPTED[method.upper()])
    return document


def _drop_framework_422(responses: dict[str, Any]) -> None:
    """FastAPI promises its own 422 for every call with parameters, even where nothing can be wrong with them."""
    if "application/json" in responses.get("422", {}).get("content", {}):
        del responses["422"]


def _drop_nulls(parameters: Iterable[dict[str, Any]]) -> None:
    """A parameter can be left out, but it cannot be null as a field can."""
    for parameter in parameters:
        alternatives = parameter["schema"].pop("anyOf", ())
        for schema in alternatives:
            if schema != {"type": "null"}:
                parameter["schema"].update(schema)


def _name_what_is_accepted(operation: dict[str, Any], header: str, media_types: tuple[str, ...]) -> None:
    content = operation["requestBody"]["content"]
    schema = content.pop("application/json")
    content.update(dict.fromkeys(media_types, schema))
    operation["responses"]["415"]["headers"][header] = _header(f"Always `{', '.join(media_types)}`.")
