"""The password policy, and bounded hashing."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from application.networks import networks_of
from application.ports import CommonPasswords, PasswordHasher
from domain.credential import Credential
from domain.errors import FieldChecks, InvalidValue, TooBusy
from domain.user import User
from domain.values import Password, fold

_MAX_WORK_PER_NETWORK: Final = (32, 48)
"""For each of `networks_of`, the smallest network first."""


class Passwords:
    """Checks passwords against the policy and hashes them; each network gets a bounded share of that work."""

    def __init__(self, hasher: PasswordHasher, common: CommonPasswords) -> None:
        self._hasher = hasher
        self._common = common
        self._working: Counter[str] = Counter()

    def parse(self, text: str, *, own: Iterable[str]) -> Password:
        """Parse a new password; `own` are the user's own texts, which must not be it.

        Raises:
            InvalidValue: It is one of them, or a common password (NIST SP 800-63B-4, section 3.1.1.2).
        """
        password = Password.parse(text)
        if fold(password.secret) in {fold(other.strip()[: 4 * Password.MAX_LENGTH]) for other in own}:
            raise InvalidValue("own_data", "must not be the user's own email, name or username")
        if password in self._common:
            raise InvalidValue("common_password", "must not be one of the most common passwords")
        return password

    def parse_for(self, user: User, text: str) -> Password:
        """Parse the new password of a user; raises `InvalidInput` for the field `new_password`."""
        own = [user.email.address, user.name, *([user.username.text] if user.username else [])]
        check = FieldChecks()
        password = check("new_password", partial(self.parse, own=own), text)
        check.raise_if_invalid()
        return password

    async def hash(self, password: Password, address: str | None = None) -> str:
        """Return the hash of a password, on behalf of an address. Raise `TooBusy`."""
        with self._turn(address):
            return await self._hasher.hash(password)

    async def verify(self, password: Password, credential: Credential | None, address: str | None = None) -> bool:
        """Return whether a password matches a credential. None never matches, but takes as long.

        Raises `TooBusy`.
        """
        with self._turn(address):
            return await self._hasher.verify(password, None if credential is None else credential.password_hash)

    def is_outdated(self, credential: Credential, password: Password) -> bool:
        """Return whether a new hash of this correct password would be stronger than the stored one."""
        return self._hasher.is_outdated(credential.password_hash, password)

    @contextmanager
    def _turn(self, address: str | None) -> Iterator[None]:
        networks = [] if address is None else networks_of(address)
        if any(self._working[network] >= most for network, most in zip(networks, _MAX_WORK_PER_NETWORK, strict=False)):
            raise TooBusy
        self._working.update(networks)
        try:
            yield
        finally:
            self._working.subtract(networks)
            self._working = +self._working  # drop networks with a count of zero
