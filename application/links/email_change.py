"""Change one's own address: confirmed at the new one, and undone from the old one."""

from application.concurrency import commit_additions
from application.languages import Language
from application.links.context import LinkContext
from application.principal import Principal
from application.sessions.revocation import revoke_sessions, stage_session_revocation
from application.users.current_password import CurrentPasswords
from domain.credential import CREDENTIALS
from domain.errors import FieldChecks, UserNotFound, WrongPassword
from domain.one_time_token import OneTimeToken, TokenPurpose
from domain.values import Email, UserId


class EmailChangeService:
    """Requests, confirms and undoes changes of address. Every method may also raise what the storage port raises."""

    def __init__(self, context: LinkContext, current_passwords: CurrentPasswords) -> None:
        self._context = context
        self._current_passwords = current_passwords

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
        new = check("new_email", self._context.parse_email, new_email)
        check.raise_if_invalid()
        claim = await self._current_passwords.claim(user_id, current_password, caller, address)

        async def attempt() -> None:
            unit = self._context.storage.unit_of_work()
            user = await unit.users.get(user_id)
            if user is None or not user.active:
                raise UserNotFound
            credential = await unit.records(CREDENTIALS).get(user_id)
            await claim.verify(unit, credential)
            if new == user.email:
                check.reject("new_email", "unchanged", "is the present address")
                check.raise_if_invalid()
            request = await self._context.throttle.request([user.email, new], address)
            await request.stage(unit)
            await self._context.mails.stage_email_change(unit, user, new, language)
            unit.users.require(user)
            await commit_additions(unit)

        try:
            await self._context.retry.run(user_id, attempt)
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
            unit = self._context.storage.unit_of_work()
            used, user, _ = await self._context.mails.tokens.redeem(unit, TokenPurpose.CONFIRM_EMAIL_CHANGE, token)
            new = self._target_of(used)
            self._context.stage_user(unit, user, email=new, email_verified=True)
            await self._context.mails.tokens.stage_revocation(unit, user.id, used=used)
            self._context.mails.stage_undo(unit, user, new, language)
            await unit.commit()

        await self._context.retry.run(token, attempt)

    async def undo(self, token: str, language: Language) -> None:
        """Restore an address, end every session, and mail a link that resets the password.

        Pending changes of address are dropped, and so are links that undo later changes.

        Raises:
            InvalidOneTimeToken: The link does not work (any more).
            EmailTaken: Another user has the address. The link still works.
        """

        async def attempt() -> UserId:
            unit = self._context.storage.unit_of_work()
            used, user, _ = await self._context.mails.tokens.redeem(unit, TokenPurpose.UNDO_EMAIL_CHANGE, token)
            old = self._target_of(used)
            self._context.stage_user(unit, user, email=old, email_verified=used.target_verified)
            await self._context.mails.tokens.stage_revocation(unit, user.id, used=used, undos_after=used.request_id)
            await stage_session_revocation(unit, user.id)
            self._context.mails.stage_password_reset(unit, old, language)
            await unit.commit()
            return user.id

        user_id = await self._context.retry.run(token, attempt)
        await revoke_sessions(self._context.storage, self._context.retry, user_id)

    def _target_of(self, token: OneTimeToken) -> Email:
        return self._context.parse_email(token.target or "")
