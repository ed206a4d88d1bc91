"""Verify the current password of a signed-in user before a sensitive change."""

from application.passwords import Passwords
from application.principal import Principal
from application.sign_in.throttle import SignInThrottle, ThrottledAttempt
from domain.credential import Credential
from domain.errors import WrongPassword
from domain.storage import UnitOfWork
from domain.values import Password, UserId


class CurrentPassword:
    """A caller's claim of the user's current password, verified once for each state of the credential.

    Failures count as those of sign-ins do. A caller with a session of this user is trusted wherever they are now.
    """

    def __init__(self, passwords: Passwords, throttled: ThrottledAttempt, claimed: str, address: str | None) -> None:
        self._passwords = passwords
        self._throttled = throttled
        self._claimed = Password.claimed(claimed)
        self._address = address
        self._verified: Credential | None = None

    async def verify(self, unit: UnitOfWork, credential: Credential | None) -> None:
        """Verify the password, and stage the reset of earlier failures.

        Raises `WrongPassword`, `TooManyFailures` or `TooBusy`.
        """
        if credential is None or credential != self._verified:
            if not await self._passwords.verify(self._claimed, credential, self._address):
                raise WrongPassword
            self._verified = credential
        await self._throttled.stage_success(unit)

    async def count_failure(self) -> None:
        """Count a wrong password. Raise `TooManyFailures` when concurrent failures reached the limit."""
        await self._throttled.count_failure()


class CurrentPasswords:
    """Accepts current passwords for verification, limited as sign-ins are."""

    def __init__(self, passwords: Passwords, throttle: SignInThrottle) -> None:
        self._passwords = passwords
        self._throttle = throttle

    async def claim(self, user_id: UserId, claimed: str, caller: Principal, address: str | None) -> CurrentPassword:
        """Return a claim to verify. Raise `TooManyFailures` when it must wait."""
        home = caller.session_id if caller.user_id == user_id else None
        throttled = await self._throttle.attempt(user_id, address, home)
        throttled.at_home = home is not None
        await throttled.read()
        throttled.check()
        return CurrentPassword(self._passwords, throttled, claimed, address)
