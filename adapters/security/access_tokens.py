import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Any, Final

import jwt
from jwt.types import Options

from adapters.security.signing_keys import SigningKeys
from application.ports import AccessTokenClaims
from domain.errors import InvalidAccessToken
from domain.user import Role
from domain.values import SessionId, UserId

_MAX_TOKEN_LENGTH: Final = 4 * 1024
_PATTERN: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
_TYPE: Final = "at+jwt"
_TYPES: Final = {_TYPE, f"application/{_TYPE}"}
_CLAIMS: Final = ("iss", "aud", "sub", "jti", "iat", "exp", "role", "sid")
_CLOCK_SKEW: Final = timedelta(seconds=60)
_CHECKS: Final[Options] = {
    "require": list(_CLAIMS),
    "strict_aud": True,
    # The library would use the system clock.
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


class JwtSigner:
    """Access tokens as JWTs (RFC 9068), signed and verified as RFC 8725 recommends.

    The algorithm in a token must be that of its key. References to other keys are ignored.
    """

    def __init__(self, keys: SigningKeys, *, issuer: str, audience: str) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience

    def sign(self, claims: AccessTokenClaims, now: datetime) -> str:
        payload = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": claims.user_id,
            "jti": token_urlsafe(16),
            "iat": int(now.timestamp()),
            "exp": int(claims.expires_at.timestamp()),
            "role": claims.role,
            "sid": claims.session_id,
        }
        key = self._keys.signing
        return jwt.encode(payload, self._keys.private, key.algorithm, {"typ": _TYPE, "kid": key.id})

    def verify(self, token: str, now: datetime) -> AccessTokenClaims:
        if len(token) > _MAX_TOKEN_LENGTH or _PATTERN.fullmatch(token) is None:
            raise InvalidAccessToken
        try:
            return self._validated(self._claims(token), now)
        except (jwt.PyJWTError, ValueError) as error:  # a ValueError comes from the value of a claim
            raise InvalidAccessToken from error

    def public_keys(self) -> Sequence[Mapping[str, str]]:
        return [key.jwk for key in self._keys.verifying.values()]

    def _claims(self, token: str) -> Mapping[str, Any]:
        """Return the claims of a token after checking its signature, issuer and audience."""
        header = jwt.get_unverified_header(token)
        token_type, key = header.get("typ"), self._keys.verifying.get(header.get("kid", ""))
        if not isinstance(token_type, str) or token_type.lower() not in _TYPES or "crit" in header or key is None:
            raise InvalidAccessToken
        return jwt.decode(token, key.public, [key.algorithm], _CHECKS, audience=self._audience, issuer=self._issuer)

    def _validated(self, claims: Mapping[str, Any], now: datetime) -> AccessTokenClaims:
        user_id, token_id, role, session_id = (_text(claims[name]) for name in ("sub", "jti", "role", "sid"))
        issued_at, expires_at = (_time(claims[name]) for name in ("iat", "exp"))
        too_early = issued_at > now + _CLOCK_SKEW or ("nbf" in claims and _time(claims["nbf"]) > now)
        if too_early or now >= expires_at or not token_id:
            raise InvalidAccessToken
        return AccessTokenClaims(
            user_id=UserId.parse(user_id),
            session_id=SessionId.parse(session_id),
            role=Role(role),
            expires_at=expires_at,
        )


def _text(claim: object) -> str:
    if not isinstance(claim, str):
        raise InvalidAccessToken
    return claim


def _time(claim: object) -> datetime:
    if type(claim) is not int:  # True is an int, too
        raise InvalidAccessToken
    try:
        return datetime.fromtimestamp(claim, UTC)
    except (OverflowError, OSError) as error:
        raise InvalidAccessToken from error
