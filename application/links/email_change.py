"""Change one's own address: confirmed at the new one, and undone from the old one."""

from application.concurrency import OptimisticRetry, commit_additions
from application.languages import Language
from application.outbox.queue import MailQueue
from application.outbox.throttle import MailThrottle
from application.ports import Clock, DomainNames
from application.principal import Principal
from application.sessions.revocation import revoke_sessions, stage_session_revocation
from application.users.current_password import CurrentPasswords
from domain.credential import CREDENTIALS
from domain.errors import FieldChecks, UserNotFound, WrongPassword
from domain.one_time_token import OneTimeToken, TokenPurpose
from domain.storage import Storage, UnitOfWork
from domain.user import User
from domain.values import Email, UserId


class EmailChangeService:
    """Requests, confirms and undoes changes of address. Every method may also raise what the storage port raises."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        domain_names: DomainNames,
        current_passwords: CurrentPasswords,
        mails: MailQueue,
        throttle: MailThrottle,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._domain_names = domain_names
        self._current_passwords = current_passwords
        self._mails = mails
        self._throttle = throttle
        self._retry = OptimisticRetry()

    async def request(
        self,
        caller: Principal,
        user_id: UserId,
        *,
        new_email: str,
        current_password: str,
        address: str | None,
        language: Language,
    ) -> None:
        """Mail a link to the new address and a notice to the old one.

        A taken address is only reported at the confirmation.

        Raises:
            InvalidInput: The new address is invalid.
            UserNotFound: There is no such user.
            WrongPassword, TooManyFailures, TooBusy: As for a sign-in.
            TooManyMailRequests: Too many mails were requested within an hour.
        """
        check = FieldChecks()
        new = check("new_email", self._parse, new_email)
        check.raise_if_invalid()
        claim = await self._current_passwords.claim(user_id, current_password, caller, address)

        async def attempt() -> None:
            unit = self._storage.unit_of_work()
            user = await unit.users.get(user_id)
            if user is None or not user.active:
                raise UserNotFound
            credential = await unit.records(CREDENTIALS).get(user_id)
            await claim.verify(unit, credential)
            if new == user.email:
                check.reject("new_email", "unchanged", "is the present address")
                check.raise_if_invalid()
            request = await self._throttle.request([user.email, new], address)
            await request.stage(unit)
            await self._mails.stage_email_change(unit, user, new, language)
            unit.users.require(user)
            await commit_additions(unit)

        try:
            await self._retry.run(user_id, attempt)
        except WrongPassword:
            await claim.count_failure()
            raise

    async def confirm(self, token: str, language: Language) -> None:
        """Change the address to the new one, verified, and mail the old one a link that undoes it.

        Raises:
            InvalidOneTimeToken: The link does not work (any more).
            EmailTaken: Another user has the address. The link still works.
        """

        async def attempt() -> None:
            unit = self._storage.unit_of_work()
            used, user, _ = await self._mails.tokens.redeem(unit, TokenPurpose.CONFIRM_EMAIL_CHANGE, token)
            new = self._target_of(used)
            self._stage(unit, user, user.change(now=self._clock.now(), email=new, email_verified=True))
            await self._mails.tokens.stage_revocation(unit, user.id, used=used)
            self._mails.stage_undo(unit, user, new, language)
            await unit.commit()

        await self._retry.run(token, attempt)

    async def undo(self, token: str, language: Language) -> None:
        """Restore an address, end every session, and mail a link that resets the password.

        Pending changes of address are dropped, and so are links that undo later changes.

        Raises:
            InvalidOneTimeToken: The link does not work (any more).
            EmailTaken: Another user has the address. The link still works.
        """

        async def attempt() -> UserId:
            unit = self._storage.unit_of_work()
            used, user, _ = await self._mails.tokens.redeem(unit, TokenPurpose.UNDO_EMAIL_CHANGE, token)
            old = self._target_of(used)
            self._stage(unit, user, user.change(now=self._clock.now(), email=old, email_verified=used.target_verified))
            await self._mails.tokens.stage_revocation(unit, user.id, used=used, undos_after=used.request_id)
            await stage_session_revocation(unit, user.id)
            self._mails.stage_password_reset(unit, old, language)
            await unit.commit()
            return user.id

        user_id = await self._retry.run(token, attempt)
        await revoke_sessions(self._storage, self._retry, user_id)

    def _stage(self, unit: UnitOfWork, user: User, changed: User) -> None:
        if changed is user:
            unit.users.require(user)
        else:
            unit.users.save(changed)

    def _target_of(self, token: OneTimeToken) -> Email:
        return self._parse(token.target or "")

    def _parse(self, text: str) -> Email:
        return Email.parse(text, self._domain_names.to_ascii)
