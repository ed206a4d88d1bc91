import re
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import ClassVar, Final, Self

from argon2 import Type
from argon2.low_level import hash_secret_raw

from adapters.security.hash_formats import base64_text

_TYPES: Final = {"i": Type.I, "d": Type.D, "id": Type.ID}


@dataclass(frozen=True, slots=True, kw_only=True)
class Argon2Hash:
    """Argon2 (RFC 9106) as a PHC string, or in Django's format with the prefix `argon2`."""

    _PATTERN: ClassVar = re.compile(
        r"(?:argon2)?\$argon2(id|i|d)\$(?:v=(16|19)\$)?m=([1-9][0-9]{1,5}),t=([1-9][0-9]?),p=([1-8])"
        r"\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,171})"
    )
    _KIBIBYTES: ClassVar = range(64, 256 * 1024 + 1)
    _PASSES: ClassVar = range(1, 16 + 1)

    type: Type
    version: int
    kibibytes: int
    passes: int
    lanes: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        parts = cls._PATTERN.fullmatch(text)
        if parts is None:
            return None
        kind, version, kibibytes, passes, lanes, *encoded = parts.groups()
        salt, digest = (base64_text.decode(part, padded=False) for part in encoded)
        if int(kibibytes) not in cls._KIBIBYTES or int(passes) not in cls._PASSES or salt is None or digest is None:
            return None
        return cls(
            type=_TYPES[kind],
            version=int(version or 16),  # the version before versions were written
            kibibytes=int(kibibytes),
            passes=int(passes),
            lanes=int(lanes),
            salt=salt,
            digest=digest,
        )

    def is_as_strong_as(self, other: Self) -> bool:
        """Return whether no parameter of this hash is weaker than another hash's of the same type."""
        return (
            self.type is other.type
            and self.version >= other.version
            and self.kibibytes >= other.kibibytes
            and self.passes >= other.passes
            and len(self.salt) >= len(other.salt)
            and len(self.digest) >= len(other.digest)
        )

    def matches(self, password: bytes) -> bool:
        digest = hash_secret_raw(
            password, self.salt, self.passes, self.kibibytes, self.lanes, len(self.digest), self.type, self.version
        )
        return compare_digest(digest, self.digest)
