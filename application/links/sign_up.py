"""Sign-ups that do not reveal whether an address already has an account."""

from application.languages import Language
from application.links.context import LinkContext
from application.outbox.tokens import parse_link_token
from application.ports import IdSource
from application.users.service import NewUser, UserService
from domain.credential import CREDENTIALS, Credential
from domain.errors import EmailTaken, InvalidOneTimeToken, UsernameTaken
from domain.pending_sign_up import PENDING_SIGN_UPS, PendingSignUp
from domain.values import UserId


class SignUpService:
    """Keeps sign-ups until their address is confirmed. Every method may also raise what the storage port raises."""

    def __init__(self, context: LinkContext, ids: IdSource, users: UserService) -> None:
        self._context = context
        self._ids = ids
        self._users = users

    async def request(self, new: NewUser, address: str | None, language: Language) -> None:
        """Store a sign-up, and mail its address a link, or a notice if it has an account.

        The job that mails it looks the account up, so this call does the same for free and taken addresses.

        Raises:
            InvalidInput: Some fields break the rules.
            UsernameTaken: Another user has it; usernames are public.
            TooBusy: Too many passwords are being hashed.
        """
        user, password = self._users.parse(new)
        unit = self._context.storage.unit_of_work()
        if user.username is not None and await unit.users.find_by_username(user.username) is not None:
            raise UsernameTaken
        password_hash = None if password is None else await self._context.passwords.hash(password, address)
        digest = self._context.mails.tokens.sign_up_token(user.id).digest
        now = self._context.clock.now()
        unit.records(PENDING_SIGN_UPS).add(
            PendingSignUp.create(user, password_hash=password_hash, digest=digest, now=now)
        )
        self._context.mails.stage_sign_up(unit, user.id, language)
        await unit.commit()

    async def confirm(self, token: str) -> None:
        """Register the user whose sign-up a link confirms, with a verified address.

        Raises `InvalidOneTimeToken`, `EmailTaken` or `UsernameTaken`.
        """
        given = parse_link_token(token)

        async def attempt() -> None:
            unit = self._context.storage.unit_of_work()
            pending = await unit.records(PENDING_SIGN_UPS).get(given.subject)
            now = self._context.clock.now()
            if pending is None or not pending.accepts(given, now):
                raise InvalidOneTimeToken
            user = pending.confirmed(self._ids.new(UserId), now)
            unit.users.add(user)
            if pending.password_hash is not None:
                unit.records(CREDENTIALS).add(Credential(user.id, pending.password_hash))
            unit.records(PENDING_SIGN_UPS).remove(pending)
            await unit.commit()

        try:
            await self._context.retry.run(token, attempt)
        except (EmailTaken, UsernameTaken):
            # A concurrent confirmation of the same link may have created the user who has them.
            if await self._context.storage.unit_of_work().records(PENDING_SIGN_UPS).get(given.subject) is None:
                raise InvalidOneTimeToken from None
            raise
