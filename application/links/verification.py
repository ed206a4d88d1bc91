"""Verify an address by a link that is mailed to it."""

from application.concurrency import commit_additions
from application.languages import Language
from application.links.context import LinkContext
from application.links.sign_up import SignUpService
from domain.errors import AlreadyVerified, InvalidOneTimeToken, UserNotFound
from domain.one_time_token import TokenPurpose
from domain.values import UserId


class EmailVerificationService:
    """Mails verification links, and confirms addresses. Every method may also raise what the storage port raises."""

    def __init__(self, context: LinkContext, sign_ups: SignUpService) -> None:
        self._context = context
        self._sign_ups = sign_ups

    async def request(self, user_id: UserId, address: str | None, language: Language) -> None:
        """Mail a user a link, on behalf of a client address.

        Raises `UserNotFound`, `AlreadyVerified` or `TooManyMailRequests`.
        """

        async def attempt() -> None:
            unit = self._context.storage.unit_of_work()
            user = await unit.users.get(user_id)
            if user is None or not user.active:
                raise UserNotFound
            if user.email_verified:
                raise AlreadyVerified
            request = await self._context.throttle.request([user.email], address)
            await request.stage(unit)
            self._context.mails.stage_verification(unit, user, language)
            unit.users.require(user)
            await commit_additions(unit)

        await self._context.retry.run(address or user_id, attempt)

    async def confirm(self, token: str) -> None:
        """Verify the address of a link, which belongs to a user or to a pending sign-up.

        Raises `InvalidOneTimeToken`, and for a sign-up `EmailTaken` or `UsernameTaken`.
        """

        async def attempt() -> None:
            unit = self._context.storage.unit_of_work()
            _, user, _ = await self._context.mails.tokens.redeem(unit, TokenPurpose.VERIFY_EMAIL, token)
            self._context.stage_user(unit, user, email_verified=True)
            await unit.commit()

        try:
            await self._context.retry.run(token, attempt)
        except InvalidOneTimeToken:
            await self._sign_ups.confirm(token)
