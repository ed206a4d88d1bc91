"""Change a password."""

from functools import partial

from application.concurrency import OptimisticRetry
from application.passwords import Passwords
from application.principal import Principal
from application.sessions.revocation import revoke_sessions, stage_session_revocation
from application.sign_in.throttle import SignInThrottle
from domain.credential import CREDENTIALS, Credential
from domain.errors import FieldChecks, IdTaken, StaleVersion, UserNotFound, WrongPassword
from domain.storage import Storage
from domain.user import User
from domain.values import Password, UserId


class PasswordChangeService:
    """Changes passwords."""

    def __init__(self, storage: Storage, passwords: Passwords, throttle: SignInThrottle) -> None:
        self._storage = storage
        self._passwords = passwords
        self._throttle = throttle
        self._retry = OptimisticRetry()

    async def change(
        self, user_id: UserId, *, current: str | None, new: str, caller: Principal, address: str | None = None
    ) -> None:
        """Set a user's password, and end all sessions of the user except the caller's.

        Args:
            current: The current password, which is verified unless it is None.

        Raises:
            UserNotFound: There is no such user.
            InvalidInput: The new password breaks the rules.
            WrongPassword, TooManyFailures: As for a sign-in.
            TooBusy: Too many passwords are being hashed.
            DomainError: Any error of the storage port.
        """
        unit = self._storage.unit_of_work()
        user = await unit.users.get(user_id)
        if user is None:
            raise UserNotFound
        password = self._parse(new, user)
        # A caller with a session of this user is trusted wherever they are now.
        home = caller.session_id if caller.user_id == user_id else None
        throttled = await self._throttle.attempt(user_id, address, home)
        throttled.at_home = home is not None
        if current is not None:
            await throttled.read()
            throttled.check()

        work = _PasswordWork(self._passwords, current, password, address)

        async def attempt() -> None:
            unit = self._storage.unit_of_work()
            user = await unit.users.get(user_id)
            if user is None or not (user.active or caller.is_admin):
                raise UserNotFound
            credentials = unit.records(CREDENTIALS)
            credential = await credentials.get(user_id)
            if current is not None:
                await work.verify(credential)
                await throttled.stage_success(unit)
            password_hash = await work.hash()
            if credential is None:
                credentials.add(Credential(user_id, password_hash))
            else:
                credentials.save(credential.change(password_hash))
            await stage_session_revocation(unit, user_id, keep=caller.session_id)
            try:
                await unit.commit()
            except IdTaken:  # a concurrent call set the first password
                raise StaleVersion from None

        try:
            await self._retry.run(user_id, attempt)
        except WrongPassword:
            await throttled.count_failure()
            raise
        await revoke_sessions(self._storage, self._retry, user_id, keep=caller.session_id)

    def _parse(self, text: str, user: User) -> Password:
        own = [user.email.address, user.name, *([user.username.text] if user.username else [])]
        check = FieldChecks()
        password = check("new_password", partial(self._passwords.parse, own=own), text)
        check.raise_if_invalid()
        return password


class _PasswordWork:
    """The slow part of a change, which retries reuse."""

    def __init__(self, passwords: Passwords, current: str | None, new: Password, address: str | None) -> None:
        self._passwords = passwords
        self._current = current
        self._new = new
        self._address = address
        self._verified: Credential | None = None
        self._hash: str | None = None

    async def verify(self, credential: Credential | None) -> None:
        """Raise `WrongPassword` unless the current password matches the credential."""
        if credential is not None and credential == self._verified:
            return
        claimed = Password.claimed(self._current or "")
        if not await self._passwords.verify(claimed, credential, self._address):
            raise WrongPassword
        self._verified = credential

    async def hash(self) -> str:
        """Return the hash of the new password."""
        self._hash = self._hash or await self._passwords.hash(self._new, self._address)
        return self._hash
