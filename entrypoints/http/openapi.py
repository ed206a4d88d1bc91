"""Complete the OpenAPI document that FastAPI generates."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeAlias

from fastapi import FastAPI
from pydantic import BaseModel

from domain.errors import InvalidInput
from entrypoints.http.bodies import ACCEPTED
from entrypoints.http.examples import INVALID_PARAMETER, USER_ID
from entrypoints.http.oauth import FORM, OAuthError
from entrypoints.http.problems import HEAD_TOO_LARGE, MEDIA_TYPE
from entrypoints.http.responses import (
    MODE,
    InvalidField,
    Mode,
    Problem,
    ValidationProblem,
    authentication_errors,
    error_responses,
    header,
)

Document: TypeAlias = dict[str, Any]
Operation: TypeAlias = dict[str, Any]

TAGS: Final = (
    {"name": "users", "description": "Users: sign-up, administration and one's own user."},
    {"name": "posts", "description": "Posts, which users publish."},
    {"name": "auth", "description": "Signing in and out (OAuth 2), sessions, and the keys that verify access tokens."},
    {"name": "mail", "description": "Links by mail: verification, password reset, change of address and invitation."},
    {"name": "health", "description": "Probes for load balancers and orchestrators."},
)

_VARY: Final = {"Vary": header("The response depends on the caller.", const="Authorization")}


def openapi_of(app: FastAPI, *, asks_for_tokens: bool) -> Callable[[], Document]:
    """Return a replacement for the app's `openapi` whose document is exact for the mode of the app."""
    generate = app.openapi
    completed: Document | None = None

    def openapi() -> Document:
        nonlocal completed
        document = generate()  # the same object until routes are added
        if document is not completed:
            completed = _complete(document, "token" if asks_for_tokens else "open")
        return completed

    return openapi


def _complete(document: Document, mode: Mode) -> Document:
    schemas = document["components"]["schemas"]
    models: list[type[BaseModel]] = [Problem, InvalidField, ValidationProblem]
    if mode == "token":
        models.append(OAuthError)
    for model in models:
        schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas[model.__name__].pop("$defs", None)
    for framework_schema in ("HTTPValidationError", "ValidationError"):
        schemas.pop(framework_schema, None)
    if mode == "open":
        document["components"].pop("securitySchemes", None)
    other_fields = [name for schema in schemas.values() for name in _take_fields_of_other_modes(schema, mode)]
    tags = {tag for _, _, operation in _operations(document) for tag in operation.get("tags", ())}
    document["tags"] = [tag for tag in document.get("tags", ()) if tag["name"] in tags]
    for path, method, operation in _operations(document):
        _drop_nulls(operation.get("parameters", ()))
        _describe_security(operation, mode)
        _describe_media_types(operation, method)
        _remove_responses_of_other_modes(operation, mode)
        _describe_errors(operation, path, mode)
        _remove_fields(operation, other_fields)
    return document


def _operations(document: Document) -> Iterator[tuple[str, str, Operation]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method.upper(), operation


def _drop_nulls(parameters: Iterable[dict[str, Any]]) -> None:
    """Remove null from the schemas of parameters: unlike a field, a parameter cannot be null."""
    null = {"type": "null"}
    for parameter in parameters:
        schema = parameter["schema"]
        if null in schema.get("anyOf", ()):
            for alternative in schema.pop("anyOf"):
                schema.update({} if alternative == null else alternative)


def _describe_security(operation: Operation, mode: Mode) -> None:
    """Mark operations without authentication: the public ones, and all in open mode."""
    security = operation.setdefault("security", [])
    if mode == "open":
        security.clear()
    if security:
        operation["responses"] |= {str(status): error for status, error in authentication_errors().items()}
        for status, response in operation["responses"].items():
            if status != str(HEAD_TOO_LARGE.status.value):  # which is returned before the caller is known
                response["headers"] = {**response.get("headers", {}), **_VARY}


def _describe_media_types(operation: Operation, method: str) -> None:
    """List all media types of a body, and the header by which a 415 names them."""
    if "415" in operation["responses"]:
        name, media_types = ACCEPTED[method]
        content = operation["requestBody"]["content"]
        if FORM in content:
            media_types = (FORM,)
        else:
            content |= dict.fromkeys(media_types, content.pop("application/json"))
        operation["responses"]["415"]["headers"][name] = header(f"Always `{', '.join(media_types)}`.")


def _describe_errors(operation: Operation, path: str, mode: Mode) -> None:
    """Keep the examples of errors that occur in this mode, and derive each error's description from them."""
    responses = operation["responses"]
    _replace_framework_422(responses)
    for status, response in list(responses.items()):
        content = response.get("content", {}).get(MEDIA_TYPE)
        if content is None:
            continue
        examples = {name: one for name, one in content["examples"].items() if one.pop(MODE, mode) == mode}
        if not examples:
            del responses[status]
            continue
        content["examples"] = examples
        response["description"] = " ".join(dict.fromkeys(example["summary"] for example in examples.values()))
        for example in examples.values():
            example["value"]["instance"] = path.replace("{id}", USER_ID)
            if "errors" in example["value"] and "requestBody" not in operation:
                example["value"]["errors"] = [dict(INVALID_PARAMETER)]


def _remove_responses_of_other_modes(operation: Operation, mode: Mode) -> None:
    responses = operation["responses"]
    for status in [status for status, response in responses.items() if response.pop(MODE, mode) != mode]:
        del responses[status]


def _take_fields_of_other_modes(schema: dict[str, Any], mode: Mode) -> Sequence[str]:
    """Remove the fields that do not occur in a mode from a schema; return their names."""
    fields = schema.get("properties", {})
    others = [name for name, field in fields.items() if field.pop(MODE, mode) != mode]
    for name in others:
        del fields[name]
        schema["required"].remove(name)
    return others


def _remove_fields(operation: Operation, names: Sequence[str]) -> None:
    """Remove fields from the examples of an operation's responses."""
    for response in operation["responses"].values():
        for example in response.get("content", {}).get("application/json", {}).get("examples", {}).values():
            value = example["value"]
            if isinstance(value, list):
                example["value"] = [_without(item, names) for item in value]
            else:
                example["value"] = _without(value, names)


def _without(record: Mapping[str, Any], names: Sequence[str]) -> Mapping[str, Any]:
    return {name: value for name, value in record.items() if name not in names}


def _replace_framework_422(responses: dict[str, Any]) -> None:
    """Replace the 422 that FastAPI adds to every operation with parameters.

    Operations of userport declare all their errors, including a 422 where one can occur.
    """
    if "application/json" in responses.get("422", {}).get("content", {}):
        if str(HTTPStatus.INTERNAL_SERVER_ERROR.value) in responses:
            del responses["422"]
        else:
            responses["422"] = error_responses(InvalidInput)[422]
