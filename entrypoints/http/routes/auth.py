from typing import Annotated, Any, Final

import orjson
from fastapi import Request, Response
from pydantic import BaseModel, ConfigDict, Field

from application.sessions.token_issuer import ACCESS_LIFETIME, TokenPair
from domain.errors import InvalidCredentials, TooManyFailures
from entrypoints.http.bodies import BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE
from entrypoints.http.dependencies import CurrentClient, SignIns, container_of
from entrypoints.http.examples import REVOCATION_REQUEST, TOKEN_REQUEST
from entrypoints.http.oauth import OAuthRequestError, form_schema, read_form
from entrypoints.http.responses import KEYS, REVOKED, TOKENS, error_responses, oauth_errors
from entrypoints.http.routing import create_router

router: Final = create_router(tags=["auth"])

_UNSUPPORTED_GRANT_TYPE: Final = "The grant_type must be password or refresh_token."


class Tokens(BaseModel):
    """An access token, and the refresh token for the next one."""

    model_config = ConfigDict(extra="forbid")

    access_token: str = Field(description="For the header `Authorization: Bearer …`; a JWT (RFC 9068).")
    token_type: Annotated[str, Field(json_schema_extra={"const": "Bearer"})]
    expires_in: int = Field(description="Seconds until the access token expires.", examples=[900])
    refresh_token: str = Field(description="Valid once; the response to it holds the next one.")


class KeySet(BaseModel):
    """A JSON Web Key Set (RFC 7517, section 5)."""

    keys: list[dict[str, str]]


@router.post(
    "/auth/token",
    response_model=Tokens,
    responses=TOKENS
    | oauth_errors(
        invalid_grant=InvalidCredentials.sentence,
        invalid_request="The parameter grant_type is missing.",
        unsupported_grant_type=_UNSUPPORTED_GRANT_TYPE,
    )
    | error_responses(BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE, TooManyFailures),
    openapi_extra=form_schema(
        "TokenRequest",
        {"grant_type": "`password` or `refresh_token`."},
        {
            "username": "An email or a username, for the password grant.",
            "password": "For the password grant.",
            "refresh_token": "For the refresh_token grant.",
        },
        TOKEN_REQUEST,
    ),
)
async def create_token(request: Request, client: CurrentClient, sign_ins: SignIns) -> Response:
    """Sign in, or refresh a session (OAuth 2, RFC 6749, sections 4.3 and 6)."""
    form = await read_form(request)
    match form["grant_type"]:
        case "password":
            return _tokens(await sign_ins.sign_in(form["username"], form["password"], client))
        case "refresh_token":
            return _tokens(await sign_ins.refresh(form["refresh_token"]))
    raise OAuthRequestError("unsupported_grant_type", _UNSUPPORTED_GRANT_TYPE)


@router.post(
    "/auth/revoke",
    response_class=Response,
    responses=REVOKED
    | oauth_errors(invalid_request="The parameter token is missing.")
    | error_responses(BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE),
    openapi_extra=form_schema(
        "RevocationRequest",
        {"token": "A refresh token or an access token."},
        {"token_type_hint": "Ignored: the format of a token shows its type."},
        REVOCATION_REQUEST,
    ),
)
async def revoke_token(request: Request, sign_ins: SignIns) -> Response:
    """End the session of a token (RFC 7009). An unknown token is not an error."""
    await sign_ins.revoke((await read_form(request))["token"])
    return Response(headers={"Cache-Control": "no-store"})


@router.get("/.well-known/jwks.json", response_model=KeySet, responses=KEYS | error_responses(uses_storage=False))
async def list_keys(request: Request) -> Response:
    """List the public keys that verify access tokens (RFC 7517)."""
    keys: dict[str, Any] = {"keys": container_of(request).signer().public_keys()}
    headers = {"Cache-Control": f"public, max-age={int(ACCESS_LIFETIME.total_seconds()) // 3}"}
    return Response(orjson.dumps(keys), headers=headers, media_type="application/json")


def _tokens(grant: TokenPair) -> Response:
    content = {
        "access_token": grant.access_token,
        "token_type": "Bearer",
        "expires_in": int(grant.expires_in.total_seconds()),
        "refresh_token": grant.refresh_token,
    }
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749, section 5.1
    return Response(orjson.dumps(content), headers=headers, media_type="application/json")
