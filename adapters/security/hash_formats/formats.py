from typing import Final, Protocol, Self

from adapters.security.hash_formats.argon2 import Argon2Hash
from adapters.security.hash_formats.bcrypt import BcryptHash
from adapters.security.hash_formats.pbkdf2 import Pbkdf2Hash
from adapters.security.hash_formats.scrypt import ScryptHash

_MAX_LENGTH: Final = 512


class PasswordHash(Protocol):
    """A hash of a known format with an affordable cost: at most some seconds and 256 MiB."""

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Parse an ASCII text; return None if its format is another one, malformed, or too expensive."""
        ...

    def matches(self, password: bytes) -> bool:
        """Return whether this is the hash of a password. Slow; never raises."""
        ...


_FORMATS: Final[tuple[type[PasswordHash], ...]] = (Argon2Hash, BcryptHash, ScryptHash, Pbkdf2Hash)


def parse_hash(text: str) -> PasswordHash | None:
    if len(text) > _MAX_LENGTH or not text.isascii():
        return None
    parsed = (form.parse(text) for form in _FORMATS)
    return next((known for known in parsed if known is not None), None)
