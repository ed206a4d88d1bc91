import re
from dataclasses import dataclass, field
from hashlib import sha256
from hmac import compare_digest
from typing import ClassVar, Self

from bcrypt import hashpw


@dataclass(frozen=True, slots=True, kw_only=True)
class BcryptHash:
    """bcrypt as in `crypt`, or in Django's formats with the prefix `bcrypt$` or `bcrypt_sha256$`."""

    _PATTERN: ClassVar = re.compile(
        r"(?:bcrypt(_sha256)?\$)?(\$2[aby]\$(?:0[4-9]|1[0-5])\$[./A-Za-z0-9]{21}[.Oeu])"
        r"([./A-Za-z0-9]{30}[.CGKOSWaeimquy26])"
    )
    _MAX_PASSWORD_BYTES: ClassVar = 72
    """The bytes of a password that count; the library rejects longer passwords."""

    of_sha256: bool
    salt: bytes = field(repr=False)
    """Preceded by the version and the cost."""
    digest: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        parts = cls._PATTERN.fullmatch(text)
        if parts is None:
            return None
        return cls(of_sha256=parts[1] is not None, salt=parts[2].encode("ascii"), digest=parts[3].encode("ascii"))

    def uses_every_byte(self, password: bytes) -> bool:
        """Return whether every byte of this password counts."""
        return self.of_sha256 or len(password) <= self._MAX_PASSWORD_BYTES

    def matches(self, password: bytes) -> bool:
        key = sha256(password).hexdigest().encode("ascii") if self.of_sha256 else password[: self._MAX_PASSWORD_BYTES]
        same = compare_digest(hashpw(key, self.salt), self.salt + self.digest)
        # bcrypt repeats the key after a NUL, so "a" and "a\0a" hash alike; some implementations stop at a NUL.
        return same and b"\0" not in key
