"""Change a password."""

from application.concurrency import OptimisticRetry, commit_additions
from application.languages import Language
from application.mail.message import Template
from application.outbox.queue import MailQueue
from application.passwords import Passwords
from application.principal import Principal
from application.sessions.revocation import revoke_sessions, stage_session_revocation
from application.sign_in.throttle import SignInThrottle
from application.users.current_password import CurrentPasswords
from domain.credential import CREDENTIALS, Credential
from domain.errors import UserNotFound, WrongPassword
from domain.storage import Storage
from domain.values import UserId


class PasswordChangeService:
    """Changes passwords, and notifies their owners by mail."""

    def __init__(
        self, storage: Storage, passwords: Passwords, throttle: SignInThrottle, mails: MailQueue | None = None
    ) -> None:
        """Without `mails`, as in open mode, no notice is sent."""
        self._storage = storage
        self._passwords = passwords
        self._current_passwords = CurrentPasswords(passwords, throttle)
        self._mails = mails
        self._retry = OptimisticRetry()

    async def change(
        self,
        user_id: UserId,
        *,
        current: str | None,
        new: str,
        caller: Principal,
        address: str | None = None,
        language: Language = Language.ENGLISH,
    ) -> None:
        """Set a user's password, and end all sessions of the user except the caller's.

        The user is mailed a notice, in `language` if they are the caller.

        Args:
            current: The current password, which is verified unless it is None.

        Raises:
            UserNotFound: There is no such user.
            InvalidInput: The new password breaks the rules.
            WrongPassword, TooManyFailures: As for a sign-in.
            TooBusy: Too many passwords are being hashed.
            DomainError: Any error of the storage port.
        """
        user = await self._storage.unit_of_work().users.get(user_id)
        if user is None:
            raise UserNotFound
        password = self._passwords.parse_for(user, new)
        claim = None if current is None else await self._current_passwords.claim(user_id, current, caller, address)
        password_hash: str | None = None

        async def attempt() -> None:
            nonlocal password_hash
            unit = self._storage.unit_of_work()
            user = await unit.users.get(user_id)
            if user is None or not (user.active or caller.is_admin):
                raise UserNotFound
            credential = await unit.records(CREDENTIALS).get(user_id)
            if claim is not None:
                await claim.verify(unit, credential)
            password_hash = password_hash or await self._passwords.hash(password, address)  # once, because it is slow
            if credential is None:
                unit.records(CREDENTIALS).add(Credential(user_id, password_hash))
            else:
                unit.records(CREDENTIALS).save(credential.change(password_hash))
            await stage_session_revocation(unit, user_id, keep=caller.session_id)
            if self._mails is not None:
                told_in = language if caller.user_id == user_id else Language.ENGLISH
                self._mails.stage_notice(unit, Template.PASSWORD_CHANGED, user.email, told_in)
            await commit_additions(unit)

        try:
            await self._retry.run(user_id, attempt)
        except WrongPassword:
            if claim is not None:
                await claim.count_failure()
            raise
        await revoke_sessions(self._storage, self._retry, user_id, keep=caller.session_id)
