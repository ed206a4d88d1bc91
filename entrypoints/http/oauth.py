"""The parts of OAuth 2 that differ from the rest of the API: form bodies and its own error format (RFC 6749)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, Field

from domain.errors import DomainError
from entrypoints.http.bodies import check_media_type, read_body

FORM: Final = "application/x-www-form-urlencoded"

_MAX_PARAMETERS: Final = 20


class OAuthRequestError(Exception):
    """A token request rejected with one of OAuth's error codes."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class OAuthError(BaseModel):
    """Why a token request failed (RFC 6749, section 5.2)."""

    error: str = Field(description="Stable and machine-readable.", examples=["invalid_grant"])
    error_description: str = Field(
        description="An explanation for people.", examples=["The name or the password is wrong."]
    )


class Form:
    """The parameters of a form body, each sent once."""

    def __init__(self, parameters: dict[str, str]) -> None:
        self._parameters = parameters

    def __getitem__(self, name: str) -> str:
        """Return a parameter. Raise `OAuthRequestError` if it is missing."""
        if name not in self._parameters:
            raise OAuthRequestError("invalid_request", f"The parameter {name} is missing.")
        return self._parameters[name]


async def read_form(request: Request) -> Form:
    """Read a form body in UTF-8. A parameter without a value counts as omitted (RFC 6749, section 3.1).

    Raises:
        OAuthRequestError: The body is not a form, or repeats a parameter.
        RequestProblem: 413 or 415.
    """
    check_media_type(request, "Accept-Post", [FORM])
    content = await read_body(request)
    try:
        pairs = parse_qsl(content.decode(), errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        raise OAuthRequestError("invalid_request", "The body is not a form in UTF-8.") from None
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise OAuthRequestError("invalid_request", "A parameter is repeated.")
    return Form(parameters)


def form_schema(
    title: str, required: Mapping[str, str], optional: Mapping[str, str], examples: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the OpenAPI schema of a form body, from descriptions of its parameters."""
    described = {name: {"type": "string", "description": text} for name, text in {**required, **optional}.items()}
    schema = {"title": title, "type": "object", "properties": described, "required": list(required)}
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema, "examples": examples}}}}


async def oauth_problem(_: Request, error: Exception) -> Response:
    """Return a failed token request's response in the format of RFC 6749, section 5.2."""
    if isinstance(error, OAuthRequestError):
        code, detail = error.code, error.detail
    else:
        assert isinstance(error, DomainError)  # noqa: S101 - Starlette calls this for no other
        code, detail = "invalid_grant", error.sentence
    content = OAuthError(error=code, error_description=detail).model_dump()
    return Response(
        orjson.dumps(content),
        HTTPStatus.BAD_REQUEST,
        {"Cache-Control": "no-store"},
        media_type="application/json",
    )
