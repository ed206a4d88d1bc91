"""The secret that lets a client refresh its session (RFC 6749, section 1.5)."""

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
    """A session's id, a 256-bit secret, and a proof that this session issued it. The repr hides both.

    Each secret follows from the previous one and a salt that only the store knows. A repeated refresh therefore returns
    the same token, and the next one cannot be predicted. The proof uses the same salt.
    """

    SECRET_BYTES: ClassVar = 32
    _PROOF_BYTES: ClassVar = 18
    _FORM: ClassVar = re.compile(r"[A-Za-z0-9_-]{88}")

    session_id: SessionId
    secret: bytes = field(repr=False)
    proof: bytes = field(repr=False)

    @classmethod
    def first(cls, session_id: SessionId, secret: bytes, salt: str) -> Self:
        """Return the first token of a session, with a new secret."""
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
        """SHA-256 (FIPS 180-4) of the secret, in hexadecimal. A secret of this size needs no slow hash."""
        return sha256(self.secret).hexdigest()

    def successor(self, salt: str) -> Self:
        """Return the token that replaces this one: HMAC-SHA-256 (RFC 2104) of the secret."""
        return self.first(self.session_id, hmac.digest(salt.encode(), self.secret, "sha256"), salt)

    def is_proven(self, salt: str) -> bool:
        """Return whether the session with this salt issued the token."""
        return hmac.compare_digest(self.proof, self._proof(self.session_id, self.secret, salt))

    @classmethod
    def _proof(cls, session_id: SessionId, secret: bytes, salt: str) -> bytes:
        return hmac.digest(salt.encode(), session_id.encode() + secret, "sha256")[: cls._PROOF_BYTES]
