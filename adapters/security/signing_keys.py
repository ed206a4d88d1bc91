import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from adapters.security import pem

Private: TypeAlias = Ed25519PrivateKey | EllipticCurvePrivateKey
Public: TypeAlias = Ed25519PublicKey | EllipticCurvePublicKey


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """A public key, and the one algorithm that it is for."""

    id: str
    """Its thumbprint (RFC 7638), which tokens name."""
    algorithm: str
    public: Public = field(repr=False)
    jwk: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, public: Public) -> Self:
        if isinstance(public, Ed25519PublicKey):
            algorithm, members = "EdDSA", OKPAlgorithm.to_jwk(public, as_dict=True)
        else:
            algorithm, members = "ES256", ECAlgorithm.to_jwk(public, as_dict=True)
        required = {name: str(members[name]) for name in ("crv", "kty", "x", "y") if name in members}
        digest = sha256(json.dumps(required, separators=(",", ":"), sort_keys=True).encode()).digest()
        key_id = urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
        return cls(key_id, algorithm, public, required | {"kid": key_id, "use": "sig", "alg": algorithm})


class SigningKeys:
    """The key that signs tokens, and all keys that verify them: its own, and its predecessors or successors.

    During a rotation both keys verify, so either may sign.
    """

    def __init__(self, private: Private, others: Iterable[Public] = ()) -> None:
        self.private = private
        self.signing = VerifyingKey.of(private.public_key())
        keys = (self.signing, *map(VerifyingKey.of, others))
        self.verifying: Mapping[str, VerifyingKey] = {key.id: key for key in keys}

    def replace(self, newer: Self) -> None:
        """Become other keys, for all objects that use these."""
        self.private, self.signing, self.verifying = newer.private, newer.signing, newer.verifying

    @classmethod
    def read(cls, text_or_path: str) -> Self:
        """Read PEM blocks from a text or a file: first the private key that signs, then keys that only verify.

        Raises:
            ValueError: The text says what is wrong and what to do, without any content.
        """
        private, *others = pem.read(text_or_path)
        if isinstance(private, Ed25519PublicKey | EllipticCurvePublicKey):
            raise ValueError(  # noqa: TRY004 - what a file holds is a value
                "the first key is a public key: put the private key that signs before it"
            )
        return cls(private, (other if isinstance(other, Public) else other.public_key() for other in others))

    @classmethod
    def new(cls, retired: Self | None = None) -> Self:
        """Return a new Ed25519 key. Tokens signed by the retired key remain valid."""
        return cls(Ed25519PrivateKey.generate(), [retired.signing.public] if retired else [])

    def to_pem(self) -> str:
        """Return the keys in the format that `read` parses."""
        private = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        others = (
            key.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            for key in self.verifying.values()
            if key is not self.signing
        )
        return b"".join((private, *others)).decode("ascii")
