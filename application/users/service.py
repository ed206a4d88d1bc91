"""Use cases for users."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from application.concurrency import Expected, OptimisticRetry, RecordUpdates, check_version
from application.languages import Language
from application.outbox.queue import MailQueue
from application.passwords import Passwords
from application.ports import Clock, DomainNames, IdSource
from application.sessions.revocation import revoke_sessions, stage_session_revocation
from domain.credential import CREDENTIALS, Credential
from domain.errors import ConfirmationRequired, FieldChecks, InvalidValue, LastAdmin, UserNotFound
from domain.storage import Storage, UnitOfWork
from domain.user import UNSET, Role, Unset, User
from domain.values import Bio, Email, Name, Password, SearchPrefix, UserId, Username


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """The input for a new user, not yet validated."""

    email: str
    name: str
    username: str | None = None
    bio: str | None = None
    password: str | None = field(default=None, repr=False)
    role: Role = Role.MEMBER
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChanges:
    """The input for a change of a user, not yet validated. None clears an optional field."""

    email: str | Unset = UNSET
    name: str | Unset = UNSET
    username: str | Unset | None = UNSET
    bio: str | Unset | None = UNSET
    role: Role | Unset = UNSET
    active: bool | Unset = UNSET


class UserService:
    """Registers, finds, changes and removes users. Every method may also raise what the storage port raises."""

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        ids: IdSource,
        domain_names: DomainNames,
        passwords: Passwords,
        mails: MailQueue | None = None,
        *,
        needs_admin: bool = False,
    ) -> None:
        """With `needs_admin`, as in token mode, an active admin must remain. Without `mails`, none are sent."""
        self._storage = storage
        self._clock = clock
        self._ids = ids
        self._retry = OptimisticRetry()
        self._updates: RecordUpdates[UserId, User] = RecordUpdates(storage, lambda unit: unit.users)
        self._domain_names = domain_names
        self._passwords = passwords
        self._mails = mails
        self._needs_admin = needs_admin

    async def register(
        self, new: NewUser, address: str | None = None, *, verify_in: Language | None = None, invite: bool = False
    ) -> User:
        """Add a user, and their credential if they chose a password.

        Args:
            address: The client address on whose behalf the password is hashed.
            verify_in: The language in which the user is mailed a link that verifies their address; None for no mail.
            invite: Whether the user is mailed a link by which they choose their first password.

        Raises:
            InvalidInput: Some fields break the rules.
            EmailTaken, UsernameTaken: Another user has it.
            TooBusy: Too many passwords are being hashed.
        """
        user, password = self.parse(new)
        unit = self._storage.unit_of_work()
        unit.users.add(user)
        if password is not None:
            unit.records(CREDENTIALS).add(Credential(user.id, await self._passwords.hash(password, address)))
        if self._mails is not None and verify_in is not None:
            self._mails.stage_verification(unit, user, verify_in)
        if self._mails is not None and invite:
            self._mails.stage_invitation(unit, user)
        await unit.commit()
        return user

    def parse(self, new: NewUser) -> tuple[User, Password | None]:
        """Return the requested user, with a new id, and their password. Raises `InvalidInput`."""
        check = FieldChecks()
        email = check("email", self._email, new.email)
        user = User.register(
            id=self._ids.new(UserId),
            now=self._clock.now(),
            email=email,
            name=check("name", Name.parse, new.name),
            username=check("username", Username.parse, new.username),
            bio=check("bio", Bio.parse, new.bio),
            role=new.role,
            active=new.active,
        )
        own = [text for text in (new.email, new.name, new.username) if text is not None]
        if isinstance(email, Email):  # it is None if it was rejected
            own.append(email.address)
        password = check("password", partial(self._passwords.parse, own=own), new.password)
        check.raise_if_invalid()
        return user, password

    async def get(self, user_id: UserId) -> User:
        """Return a user. Raise `UserNotFound`."""
        user = await self._storage.unit_of_work().users.get(user_id)
        if user is None:
            raise UserNotFound
        return user

    async def list(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        """List users in creation order; see `UserRepository.page`."""
        return await self._storage.unit_of_work().users.page(after=after, limit=limit, descending=descending, skip=skip)

    async def find(self, *, email: str | None = None, username: str | None = None) -> User | None:
        """Return the user with this email and this username. Invalid texts match no user."""
        users = self._storage.unit_of_work().users
        found: list[User | None] = []
        try:
            if email is not None:
                found.append(await users.find_by_email(self._email(email)))
            if username is not None:
                found.append(await users.find_by_username(Username.parse(username)))
        except InvalidValue:
            return None
        return found[0] if len({user.id if user else None for user in found}) == 1 else None

    async def search(self, prefix: str, *, limit: int, descending: bool = False) -> Sequence[User]:
        """Return users by id whose name, email or username starts with `prefix`, in any case.

        Raises `InvalidInput`.
        """
        return await self._storage.unit_of_work().users.search(self._prefix(prefix), limit=limit, descending=descending)

    async def count(self, prefix: str | None = None) -> int:
        """Count all users, or all that `search` would find. Raise `InvalidInput`."""
        return await self._storage.unit_of_work().users.count(None if prefix is None else self._prefix(prefix))

    async def change(
        self,
        user_id: UserId,
        changes: UserChanges,
        expected: Expected = None,
        *,
        may_change_email: bool = True,
        language: Language = Language.ENGLISH,
    ) -> User:
        """Change the given fields and keep the others, including concurrent changes of them.

        A user who becomes disabled is signed out everywhere. A replaced address is mailed a notice in `language`.

        Raises:
            InvalidInput: Some fields break the rules.
            UserNotFound: There is no such user.
            VersionMismatch: The user is not at an expected version.
            ConfirmationRequired: The address differs, and `may_change_email` is false.
            EmailTaken, UsernameTaken: Another user has it.
            LastAdmin: The change would leave no active admin.
        """
        check = FieldChecks()
        email = check("email", self._email, changes.email)
        name = check("name", Name.parse, changes.name)
        username = check("username", Username.parse, changes.username)
        bio = check("bio", Bio.parse, changes.bio)
        check.raise_if_invalid()

        async def change(unit: UnitOfWork, stored: User | None) -> User:
            user = _expected(stored, expected)
            if not may_change_email and email not in (UNSET, user.email):
                raise ConfirmationRequired
            changed = user.change(
                now=self._clock.now(),
                email=email,
                name=name,
                username=username,
                bio=bio,
                role=changes.role,
                active=changes.active,
            )
            if changed is not user:
                if not changed.is_active_admin:
                    await self._check_not_last_admin(unit, user)
                if user.active and not changed.active:
                    await stage_session_revocation(unit, user_id)
                if self._mails is not None:
                    await self._mails.stage_consequences(unit, user, changed, language)
            return changed

        changed = await self._updates.apply(user_id, change)
        if changes.active is False:
            await revoke_sessions(self._storage, self._retry, user_id)
        return changed

    async def remove(self, user_id: UserId, expected: Expected = None) -> None:
        """Remove a user and everything they own. Raise `UserNotFound`, `VersionMismatch` or `LastAdmin`."""

        async def attempt() -> None:
            unit = self._storage.unit_of_work()
            user = _expected(await unit.users.get(user_id), expected)
            await self._check_not_last_admin(unit, user)
            unit.users.remove(user)
            await unit.commit()

        await self._retry.run(user_id, attempt)

    async def _check_not_last_admin(self, unit: UnitOfWork, user: User) -> None:
        """Require that another active admin exists at the moment of the commit. Raise `LastAdmin`."""
        if not self._needs_admin or not user.is_active_admin:
            return
        others = [admin for admin in await unit.users.active_admins(limit=2) if admin.id != user.id]
        if not others:
            raise LastAdmin
        unit.users.require(others[0])

    def _email(self, text: str) -> Email:
        return Email.parse(text, self._domain_names.to_ascii)

    def _prefix(self, text: str) -> SearchPrefix:
        check = FieldChecks()
        prefix = check("search", SearchPrefix.parse, text)
        check.raise_if_invalid()
        return prefix


def _expected(user: User | None, expected: Expected) -> User:
    if user is None:
        raise UserNotFound
    check_version(user.version, expected)
    return user
