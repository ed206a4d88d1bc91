"""What can be done with users."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from application.concurrency import Expected, OptimisticRetry, RecordUpdates, check_version
from application.languages import Language
from application.mail.queue import MailQueue
from application.passwords import Passwords
from application.ports import Clock, DomainNames, IdSource
from application.sessions.revocation import revoke_sessions, stage_session_revocation
from domain.credential import CREDENTIALS, Credential
from domain.errors import ConfirmationRequired, FieldChecks, InvalidValue, LastAdmin, UserNotFound
from domain.one_time_token import TokenPurpose
from domain.storage import Storage, UnitOfWork
from domain.user import KEEP, Keep, Role, User
from domain.values import Bio, Email, Name, Password, SearchPrefix, UserId, Username


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """What is asked for when a user is registered, unchecked."""

    email: str
    name: str
    username: str | None = None
    bio: str | None = None
    password: str | None = field(default=None, repr=False)
    role: Role = Role.MEMBER
    active: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class UserChanges:
    """What is asked for when a user is changed, unchecked; None clears what can be cleared."""

    email: str | Keep = KEEP
    name: str | Keep = KEEP
    username: str | Keep | None = KEEP
    bio: str | Keep | None = KEEP
    role: Role | Keep = KEEP
    active: bool | Keep = KEEP


class UserService:
    """The use cases around users. Besides what each one names, all raise what the storage port may raise."""

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
        """`needs_admin` tells whether the last active admin has to stay one, as is so where users have to sign in.

        Without `mails`, nobody is mailed, as in open mode.
        """
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
        """Add a user, on behalf of a client address, and their credential when they chose a password.

        With `verify_in`, the user is mailed a link in that language that verifies their address; with `invite`, one by
        which they choose their first password. Raises `InvalidInput`, `EmailTaken` or `UsernameTaken`; `TooBusy` when
        too many passwords are being hashed.
        """
        user, password = self.parse(new)
        unit = self._storage.unit_of_work()
        unit.users.add(user)
        if password is not None:
            unit.records(CREDENTIALS).add(Credential(user.id, await self._passwords.hash(password, address)))
        if self._mails is not None and verify_in is not None:
            await self._mails.stage_link(unit, TokenPurpose.VERIFY_EMAIL, user, verify_in, is_new_user=True)
        if self._mails is not None and invite:
            await self._mails.stage_invitation(unit, user, is_new_user=True)
        await unit.commit()
        return user

    def parse(self, new: NewUser) -> tuple[User, Password | None]:
        """Return the user who is asked for, with a new id, and their password; raises `InvalidInput`."""
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
        if isinstance(email, Email):  # it is none when it was refused
            own.append(email.address)
        password = check("password", partial(self._passwords.parse, own=own), new.password)
        check.done()
        return user, password

    async def get(self, user_id: UserId) -> User:
        """Raises `UserNotFound`."""
        user = await self._storage.unit_of_work().users.get(user_id)
        if user is None:
            raise UserNotFound
        return user

    async def list(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        """List users by creation; see `UserRepository.page`."""
        return await self._storage.unit_of_work().users.page(after=after, limit=limit, descending=descending, skip=skip)

    async def find(self, *, email: str | None = None, username: str | None = None) -> User | None:
        """Find the one user with this email and this username; a text that is neither is nobody's."""
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
        """Find users whose name, email or username starts with `prefix`, whatever its case, by id.

        Raises `InvalidInput`.
        """
        return await self._storage.unit_of_work().users.search(self._prefix(prefix), limit=limit, descending=descending)

    async def count(self, prefix: str | None = None) -> int:
        """Count all users, or all that `search` would find; raises `InvalidInput`."""
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
        """Change the fields that are named and keep the others, even those that somebody else is changing.

        A user who is disabled by it is signed out everywhere. A notice in a language goes to an address that is
        replaced; without `may_change_email`, that raises `ConfirmationRequired`.

        Raises `InvalidInput`, `UserNotFound`, `VersionMismatch`,
        `EmailTaken`, `UsernameTaken` or `LastAdmin`.
        """
        check = FieldChecks()
        email = check("email", self._email, changes.email)
        name = check("name", Name.parse, changes.name)
        username = check("username", Username.parse, changes.username)
        bio = check("bio", Bio.parse, changes.bio)
        check.done()

        async def change(unit: UnitOfWork, stored: User | None) -> User:
            user = _expected(stored, expected)
            if not may_change_email and email not in (KEEP, user.email):
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
        """Remove a user, with all that is theirs. Raises `UserNotFound`, `VersionMismatch` or `LastAdmin`."""

        async def attempt() -> None:
            unit = self._storage.unit_of_work()
            user = _expected(await unit.users.get(user_id), expected)
            await self._check_not_last_admin(unit, user)
            unit.users.remove(user)
            await unit.commit()

        await self._retry.run(user_id, attempt)

    async def _check_not_last_admin(self, unit: UnitOfWork, user: User) -> None:
        """Make sure that somebody else is an active admin at the moment of the commit, too; raises `LastAdmin`."""
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
        check.done()
        return prefix


def _expected(user: User | None, expected: Expected) -> User:
    if user is None:
        raise UserNotFound
    check_version(user.version, expected)
    return user
