from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand

from adapters.security.signing_keys import Private, SigningKeys

_SECRET_BYTES: Final = 32
_PURPOSE: Final = b"userport one-time links"


class HkdfLinkSecrets:
    """Derives the secrets of links from the signing key (RFC 5869), separate from its other uses."""

    def __init__(self, keys: SigningKeys) -> None:
        self._keys = keys
        self._latest: tuple[Private, bytes] | None = None
        """The private key, which can be replaced, and what was derived from it."""

    def derive(self, record: str) -> bytes:
        private = self._keys.private
        if self._latest is None or self._latest[0] is not private:
            key = HKDF(SHA256(), _SECRET_BYTES, salt=None, info=_PURPOSE).derive(_raw(private))
            self._latest = private, key
        return HKDFExpand(SHA256(), _SECRET_BYTES, record.encode()).derive(self._latest[1])


def _raw(private: Private) -> bytes:
    """Return the raw private key, which does not depend on the file's format."""
    if isinstance(private, Ed25519PrivateKey):
        return private.private_bytes_raw()
    return private.private_numbers().private_value.to_bytes(_SECRET_BYTES, "big")
