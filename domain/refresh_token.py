"""The secret by which a client goes on with its session (RFC 6749, section 1.5)."""

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from typing import ClassVar, Self
from uuid import UUID

from domain.errors import InvalidValue
from domain.values import SessionId


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A session's id, a secret of 256 bits, and a proof that it was once made for this session. Its repr hides both.

    Secrets follow from each other by a salt that only the store knows: so a refresh can be repeated and gives the
    same token each time, and nobody can foretell the next one. By the same salt the proof is made.
    """

    SECRET_BYTES: ClassVar = 32
    _PROOF_BYTES: ClassVar = 18
    _FORM: ClassVar = re.compile(r"[A-Za-z0-9_-]{88}")

    session_id: SessionId
    secret: bytes = field(repr=False)
    proof: bytes = field(repr=False)

    @classmethod
    def first(cls, session_id: SessionId, secret: bytes, salt: str) -> Self:
        """Make a token of a new secret."""
        return cls(session_id, secret, cls._proof(session_id, secret, salt))

    @classmethod
    def parse(cls, text: str) -> Self:
        if cls._FORM.fullmatch(text) is None:
            raise InvalidValue("invalid_token", "must be a refresh token")
        content = urlsafe_b64decode(text)
        secret_end = 16 + cls.SECRET_BYTES
        return cls(SessionId(str(UUID(bytes=content[:16]))), content[16:secret_end], content[secret_end:])

    @property
    def text(self) -> str:
        return urlsafe_b64encode(UUID(self.session_id).bytes + self.secret + self.proof).decode()

    @property
    def digest(self) -> str:
        """SHA-256 (FIPS 180-4) of the secret, in hexadecimal; a secret of this size needs no slow hash."""
        return sha256(self.secret).hexdigest()

    def successor(self, salt: str) -> Self:
        """Make the token that follows when this one is used: HMAC-SHA-256 (RFC 2104) of the secret."""
        return self.first(self.session_id, hmac.digest(salt.encode(), self.secret, "sha256"), salt)

    def is_proven(self, salt: str) -> bool:
        """Tell whether the token was once made for its session, whose salt this is."""
        return hmac.compare_digest(self.proof, self._proof(self.session_id, self.secret, salt))

    @classmethod
    def _proof(cls, session_id: SessionId, secret: bytes, salt: str) -> bytes:
        return hmac.digest(salt.encode(), session_id.encode() + secret, "sha256")[: cls._PROOF_BYTES]
