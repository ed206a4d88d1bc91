import re
from dataclasses import dataclass, field
from hashlib import scrypt
from hmac import compare_digest
from typing import ClassVar, Self

from adapters.security.hash_formats import base64_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ScryptHash:
    """scrypt (RFC 7914) in Django's format, or as a PHC string as in passlib."""

    _DJANGO: ClassVar = re.compile(
        r"scrypt\$([1-9][0-9]{0,5})\$([!-#%-~]{1,128})\$([1-9][0-9]?)\$([1-9][0-9]?)\$([A-Za-z0-9+/]{22,172}={0,2})"
    )
    _PHC: ClassVar = re.compile(
        r"\$scrypt\$ln=([1-9][0-9]?),r=([1-9][0-9]?),p=([1-9][0-9]?)"
        r"\$([A-Za-z0-9+/]{2,171})\$([A-Za-z0-9+/]{22,171})"
    )
    _MAX_COST: ClassVar = 2**18
    _MAX_BLOCK_SIZE: ClassVar = 32
    _MAX_LANES: ClassVar = 16
    _MAX_MEMORY_BYTES: ClassVar = 256 * 2**20
    _MAX_WORK: ClassVar = 8 * 2**20

    cost: int
    block_size: int
    lanes: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        if parts := cls._DJANGO.fullmatch(text):
            cost, salt, block_size, lanes, digest = parts.groups()
            return cls._affordable(
                int(cost), int(block_size), int(lanes), salt.encode("ascii"), base64_text.decode(digest, padded=True)
            )
        if parts := cls._PHC.fullmatch(text):
            logarithm, block_size, lanes, *encoded = parts.groups()
            return cls._affordable(
                2 ** int(logarithm),
                int(block_size),
                int(lanes),
                *(base64_text.decode(part, padded=False) for part in encoded),
            )
        return None

    @classmethod
    def _affordable(
        cls, cost: int, block_size: int, lanes: int, salt: bytes | None, digest: bytes | None
    ) -> Self | None:
        if salt is None or digest is None:
            return None
        is_one = 2 <= cost < 2 ** (16 * block_size) and cost.bit_count() == 1
        is_affordable = (
            cost <= cls._MAX_COST
            and block_size <= cls._MAX_BLOCK_SIZE
            and lanes <= cls._MAX_LANES
            and 128 * cost * block_size <= cls._MAX_MEMORY_BYTES
            and cost * block_size * lanes <= cls._MAX_WORK
        )
        if not is_one or not is_affordable:
            return None
        return cls(cost=cost, block_size=block_size, lanes=lanes, salt=salt, digest=digest)

    def matches(self, password: bytes) -> bool:
        digest = scrypt(
            password,
            salt=self.salt,
            n=self.cost,
            r=self.block_size,
            p=self.lanes,
            maxmem=128 * self.block_size * (self.cost + self.lanes + 2),
            dklen=len(self.digest),
        )
        return compare_digest(digest, self.digest)
