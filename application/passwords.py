"""Which passwords are good enough, and how one becomes a credential."""

from collections.abc import Iterable

from application.ports import CommonPasswords, PasswordHasher
from domain.credential import Credential
from domain.errors import InvalidValue
from domain.user import User
from domain.values import Password, fold


class Passwords:
    def __init__(self, hasher: PasswordHasher, common: CommonPasswords) -> None:
        self._hasher = hasher
        self._common = common

    def parse(self, text: str, *, own: Iterable[str]) -> Password:
        """Parse a new password; `own` are the texts that anybody would try first for this user.

        Raises `InvalidValue` when it is one of them or a common one (NIST SP 800-63B-4, section 3.1.1.2).
        """
        password = Password.parse(text)
        if fold(password.secret) in {fold(other.strip()) for other in own}:
            raise InvalidValue("own_data", "must not be the user's own email, name or username")
        if password in self._common:
            raise InvalidValue("common_password", "must not be one of the most common passwords")
        return password

    async def credential(self, user: User, password: Password) -> Credential:
        """Hash a password for a user; raises `TooBusy`."""
        return Credential(user.id, await self._hasher.hash(password))

    async def verify(self, password: Password, credential: Credential | None) -> bool:
        """Tell whether a password is that of a credential; without one it never is, and it takes as long to tell.

        Raises `TooBusy`.
        """
        return await self._hasher.verify(password, None if credential is None else credential.password_hash)

    def is_outdated(self, credential: Credential) -> bool:
        """Tell whether a credential made anew today would be stronger."""
        return self._hasher.is_outdated(credential.password_hash)
