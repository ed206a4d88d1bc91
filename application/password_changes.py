"""Changing a password."""

from functools import partial

from application.passwords import Passwords
from application.principal import Principal
from application.races import Races
from application.session_ends import end_sessions, stage_session_ends
from application.sign_in_limits import SignInLimits
from domain.credential import Credential
from domain.errors import FieldChecks, UserNotFound, WrongPassword
from domain.storage import Storage
from domain.user import User
from domain.values import Password, UserId


class PasswordChangeService:
    def __init__(self, storage: Storage, passwords: Passwords, limits: SignInLimits) -> None:
        self._storage = storage
        self._passwords = passwords
        self._limits = limits
        self._races = Races()

    async def change(
        self, user_id: UserId, *, current: str | None, new: str, caller: Principal, address: str | None = None
    ) -> None:
        """Give a user a new password, and sign them out everywhere but in the caller's own session.

        `current` is checked unless it is None. Raises `UserNotFound`, `InvalidInput` for `new_password`,
        `WrongPassword`, `TooManyFailures` as a sign-in would, `TooBusy`, and what the storage port may raise.
        """
        unit = self._storage.unit_of_work()
        user = await unit.users.get(user_id)
        if user is None:
            raise UserNotFound
        password = self._parse(new, user)
        verified: Credential | None = None
        replacement: Credential | None = None
        # Whoever has a session of this user is at home in it, wherever they are by now.
        limited = self._limits.attempt(user_id, address, caller.session_id if caller.user_id == user_id else None)
        if current is not None:
            await self._limits.check(limited)

        async def attempt() -> None:
            nonlocal verified, replacement
            unit = self._storage.unit_of_work()
            user = await unit.users.get(user_id)
            if user is None or not (user.active or caller.is_admin):
                raise UserNotFound
            if current is not None:
                credential = await unit.credentials.get(user_id)
                if credential is None or credential != verified:
                    claimed = Password.claimed(current)
                    if not await self._passwords.verify(claimed, credential, address) or credential is None:
                        raise WrongPassword
                    verified = credential
                unit.credentials.require(credential)
                await self._limits.stage_success(unit, limited)
            replacement = replacement or await self._passwords.credential(user, password, address)
            unit.credentials.put(replacement)
            await stage_session_ends(unit, user_id, keep=caller.session_id)
            await unit.commit()

        try:
            await self._races.until_won(user_id, attempt)
        except WrongPassword:
            await self._limits.count(limited)
            raise
        await end_sessions(self._storage, self._races, user_id, keep=caller.session_id)

    def _parse(self, text: str, user: User) -> Password:
        own = [user.email.address, user.name, *([user.username.text] if user.username else [])]
        check = FieldChecks()
        password = check("new_password", partial(self._passwords.parse, own=own), text)
        check.done()
        return password
