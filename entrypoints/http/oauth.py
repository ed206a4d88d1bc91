"""What OAuth 2 has of its own: forms for requests, and a form of its own for refusals (RFC 6749)."""

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

_MOST_PARAMETERS: Final = 20


class OAuthRefusal(Exception):
    """A request that OAuth refuses by one of its own codes."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class OAuthProblem(BaseModel):
    """Why a token was refused (RFC 6749, section 5.2)."""

    error: str = Field(description="Stable, for machines.", examples=["invalid_grant"])
    error_description: str = Field(
        description="A sentence for people.", examples=["The name or the password is wrong."]
    )


class Form:
    """The parameters of a request, each given once."""

    def __init__(self, parameters: dict[str, str]) -> None:
        self._parameters = parameters

    def __getitem__(self, name: str) -> str:
        """Give a parameter; raises `OAuthRefusal` if it is missing."""
        if name not in self._parameters:
            raise OAuthRefusal("invalid_request", f"The parameter {name} is missing.")
        return self._parameters[name]


async def read_form(request: Request) -> Form:
    """Read a form in UTF-8; a parameter without a value counts as left out (section 3.1).

    Raises `OAuthRefusal`, or a 413 or 415.
    """
    check_media_type(request, "Accept-Post", [FORM])
    content = await read_body(request)
    try:
        pairs = parse_qsl(content.decode(), errors="strict", max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise OAuthRefusal("invalid_request", "The body is not a form in UTF-8.") from None
    parameters = dict(pairs)
    if len(parameters) < len(pairs):
        raise OAuthRefusal("invalid_request", "A parameter is given twice.")
    return Form(parameters)


def form_schema(title: str, required: Mapping[str, str], optional: Mapping[str, str]) -> dict[str, Any]:
    """Describe a form for the OpenAPI document, by what its parameters are."""
    described = {name: {"type": "string", "description": text} for name, text in {**required, **optional}.items()}
    schema = {"title": title, "type": "object", "properties": described, "required": list(required)}
    return {"requestBody": {"required": True, "content": {FORM: {"schema": schema}}}}


async def oauth_problem(_: Request, error: Exception) -> Response:
    """Answer with what was refused, in the form that OAuth clients expect."""
    if isinstance(error, OAuthRefusal):
        code, detail = error.code, error.detail
    else:
        assert isinstance(error, DomainError)  # noqa: S101 - Starlette calls this for no other
        code, detail = "invalid_grant", error.sentence
    content = OAuthProblem(error=code, error_description=detail).model_dump()
    return Response(
        orjson.dumps(content),
        HTTPStatus.BAD_REQUEST,
        {"Cache-Control": "no-store"},
        media_type="application/json",
    )
