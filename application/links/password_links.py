"""Set a password by a link: after a request for a reset, or an invitation by an admin."""

import asyncio
from weakref import WeakValueDictionary

from application.concurrency import commit_additions
from application.languages import Language
from application.links.context import LinkContext
from application.mail.message import Template
from application.sessions.revocation import revoke_sessions, stage_session_revocation
from domain.credential import CREDENTIALS, Credential
from domain.errors import FieldChecks, HasPassword, UserNotFound
from domain.one_time_token import TokenPurpose
from domain.user import User
from domain.values import UserId


class PasswordLinkService:
    """Mails password links, and sets passwords by them. Every method may also raise what the storage port raises."""

    def __init__(self, context: LinkContext) -> None:
        self._context = context
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def request_reset(self, email: str, address: str | None, language: Language) -> None:
        """Mail a link to an address if an active account has it, on behalf of a client address.

        A job looks the account up, so the request takes the same time without one. Raises `InvalidInput` or
        `TooManyMailRequests`.
        """
        check = FieldChecks()
        parsed = check("email", self._context.parse_email, email)
        check.raise_if_invalid()
        request = await self._context.throttle.request([parsed], address)

        async def attempt() -> None:
            unit = self._context.storage.unit_of_work()
            await request.stage(unit)
            self._context.mails.stage_password_reset(unit, parsed, language)
            await commit_additions(unit)

        await self._context.retry.run(address or parsed.canonical, attempt)

    async def invite(self, user_id: UserId) -> None:
        """Mail a link to a user without a password. Raises `UserNotFound` or `HasPassword`."""

        async def attempt() -> None:
            unit = self._context.storage.unit_of_work()
            user, credential = await asyncio.gather(unit.users.get(user_id), unit.records(CREDENTIALS).get(user_id))
            if user is None:
                raise UserNotFound
            if credential is not None:
                raise HasPassword
            self._context.mails.stage_invitation(unit, user)
            unit.users.require(user)
            await commit_additions(unit)

        await self._context.retry.run(user_id, attempt)

    async def confirm_reset(self, token: str, new_password: str, address: str | None, language: Language) -> None:
        """Set the password of the link's user, verify their address, and end all their sessions.

        Raises:
            InvalidOneTimeToken: The link does not work (any more).
            InvalidInput: The new password breaks the rules. The link still works.
            TooBusy: Too many passwords are being hashed.
        """
        user = await self._set_password(TokenPurpose.RESET_PASSWORD, token, new_password, address, language)
        await revoke_sessions(self._context.storage, self._context.retry, user.id)

    async def accept_invitation(self, token: str, new_password: str, address: str | None) -> None:
        """Set the first password of an invited user, and verify their address. Raises as `confirm_reset` does."""
        await self._set_password(TokenPurpose.ACCEPT_INVITATION, token, new_password, address, None)

    async def _set_password(
        self, purpose: TokenPurpose, token: str, new_password: str, address: str | None, notify_in: Language | None
    ) -> User:
        password_hash: str | None = None

        async def attempt() -> User:
            nonlocal password_hash
            unit = self._context.storage.unit_of_work()
            _, user, credential = await self._context.mails.tokens.redeem(unit, purpose, token)
            if password_hash is None:
                password = self._context.passwords.parse_for(user, new_password)
                password_hash = await self._context.passwords.hash(password, address)
            if credential is None:
                unit.records(CREDENTIALS).add(Credential(user.id, password_hash))
            else:
                unit.records(CREDENTIALS).save(credential.change(password_hash))
            self._context.stage_user(unit, user, email_verified=True)
            await stage_session_revocation(unit, user.id)
            if notify_in is not None:
                self._context.mails.stage_notice(unit, Template.PASSWORD_CHANGED, user.email, notify_in)
            await commit_additions(unit)
            return user

        # One at a time, so that concurrent confirmations of one link hash only one password.
        async with self._locks.setdefault(token, asyncio.Lock()):
            return await self._context.retry.run(token, attempt)
