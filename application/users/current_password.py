"""Checking the current password of a signed-in user before something that needs it."""

from application.passwords import Passwords
from application.principal import Principal
from application.sign_in.throttle import SignInThrottle, ThrottledAttempt
from domain.credential import Credential
from domain.errors import WrongPassword
from domain.storage import UnitOfWork
from domain.values import Password, UserId


class CurrentPassword:
    """A claim to know a user's password, limited as sign-ins are. It is verified once for each state of the credential.

    A caller in a session of the user is at home in it, wherever they are by now.
    """

    def __init__(self, passwords: Passwords, throttled: ThrottledAttempt, claimed: str, address: str | None) -> None:
        self._passwords = passwords
        self._throttled = throttled
        self._claimed = Password.claimed(claimed)
        self._address = address
        self._verified: Credential | None = None

    async def verify(self, unit: UnitOfWork, credential: Credential | None) -> None:
        """Check the claim, and stage that earlier failures are forgotten.

        Raises `WrongPassword`, `TooManyFailures` or `TooBusy`.
        """
        if credential is None or credential != self._verified:
            if not await self._passwords.verify(self._claimed, credential, self._address):
                raise WrongPassword
            self._verified = credential
        await self._throttled.stage_success(unit)

    async def count_failure(self) -> None:
        """Count a wrong password; raises `TooManyFailures` when there were too many others meanwhile."""
        await self._throttled.count_failure()


class CurrentPasswords:
    def __init__(self, passwords: Passwords, throttle: SignInThrottle) -> None:
        self._passwords = passwords
        self._throttle = throttle

    async def claim(self, user_id: UserId, claimed: str, caller: Principal, address: str | None) -> CurrentPassword:
        """Return a claim that is to be verified; raises `TooManyFailures` when it has to wait."""
        home = caller.session_id if caller.user_id == user_id else None
        throttled = await self._throttle.attempt(user_id, address, home)
        throttled.at_home = home is not None
        await throttled.read()
        throttled.check()
        return CurrentPassword(self._passwords, throttled, claimed, address)
