"""Which passwords are good enough, and how one becomes a credential."""

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
"""Of one network of `networks_of`, the smallest first."""


class Passwords:
    """The rules for passwords, and the work on them, which is dear: one network never takes all the room there is."""

    def __init__(self, hasher: PasswordHasher, common: CommonPasswords) -> None:
        self._hasher = hasher
        self._common = common
        self._working: Counter[str] = Counter()

    def parse(self, text: str, *, own: Iterable[str]) -> Password:
        """Parse a new password; `own` are the texts that anybody would try first for this user.

        Raises `InvalidValue` when it is one of them or a common one (NIST SP 800-63B-4, section 3.1.1.2).
        """
        password = Password.parse(text)
        if fold(password.secret) in {fold(other.strip()[: 4 * Password.LONGEST]) for other in own}:
            raise InvalidValue("own_data", "must not be the user's own email, name or username")
        if password in self._common:
            raise InvalidValue("common_password", "must not be one of the most common passwords")
        return password

    def parse_for(self, user: User, text: str) -> Password:
        """Parse the new password of a user; raises `InvalidInput` for the field `new_password`."""
        own = [user.email.address, user.name, *([user.username.text] if user.username else [])]
        check = FieldChecks()
        password = check("new_password", partial(self.parse, own=own), text)
        check.done()
        return password

    async def hash(self, password: Password, address: str | None = None) -> str:
        """Return the hash of a password, computed on behalf of an address; raises `TooBusy`."""
        with self._turn(address):
            return await self._hasher.hash(password)

    async def verify(self, password: Password, credential: Credential | None, address: str | None = None) -> bool:
        """Tell whether a password is that of a credential; without one it never is, and it takes as long to tell.

        Raises `TooBusy`.
        """
        with self._turn(address):
            return await self._hasher.verify(password, None if credential is None else credential.password_hash)

    def is_outdated(self, credential: Credential, password: Password) -> bool:
        """Tell whether a credential made anew today of this password, which is right, would be stronger."""
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
            self._working = +self._working  # without those that have none
