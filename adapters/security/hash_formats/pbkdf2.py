import re
from dataclasses import dataclass, field
from hashlib import pbkdf2_hmac
from hmac import compare_digest
from typing import ClassVar, Final, Self

from adapters.security.hash_formats import base64_text

_SIZES: Final = {"sha1": 20, "sha256": 32}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pbkdf2Hash:
    """PBKDF2 (RFC 8018, section 5.2) in Django's format."""

    _PATTERN: ClassVar = re.compile(
        r"pbkdf2_(sha1|sha256)\$([1-9][0-9]{0,6})\$([!-#%-~]{1,128})\$([A-Za-z0-9+/]{27,43}=)"
    )
    _MAX_ITERATIONS: ClassVar = 5_000_000

    hash_name: str
    iterations: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        parts = cls._PATTERN.fullmatch(text)
        if parts is None:
            return None
        hash_name, iterations, salt, encoded = parts.groups()
        digest = base64_text.decode(encoded, padded=True)
        if digest is None or len(digest) != _SIZES[hash_name] or int(iterations) > cls._MAX_ITERATIONS:
            return None
        return cls(hash_name=hash_name, iterations=int(iterations), salt=salt.encode("ascii"), digest=digest)

    def matches(self, password: bytes) -> bool:
        return compare_digest(pbkdf2_hmac(self.hash_name, password, self.salt, self.iterations), self.digest)
