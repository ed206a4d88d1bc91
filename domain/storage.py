"""The storage port: users, and the records of every declared type.

Every store keeps the same promises, and the suite in `adapters/storage_contract` verifies each of them:

- **Staged.** `add`, `save`, `remove` and `require` only stage writes. Nothing happens before `commit()`, and a unit
  of work that is dropped without a commit has changed nothing.
- **All or nothing.** A commit applies everything that was staged, in that order, or nothing. The result is durable
  when it returns, and a reader sees all of it or none.
- **Conflicts surface at the commit**, as the domain errors named there, decided by the store's own constraints. Of any
  number of concurrent commits for one email, username or version, one succeeds.
- **No lost updates.** `save` and `remove` apply only to the version that was read.
- **Conditions hold.** What is `require`d holds at the moment of the commit and cannot change during it: of two commits
  that each change what the other requires, at most one applies.
- **Exact text.** Canonical emails and usernames are compared code point by code point. The store adds no folding,
  trimming or collation of its own.
- **Pages are by id**, which is the order of creation. A walk returns each record that exists throughout it exactly
  once, regardless of concurrent writes.
- **Removing a user removes every record that they own**, however many. They are invisible from the commit on; the store
  then deletes them in bounded batches, and resumes after an interruption when it is next used. Until they are deleted,
  their keys and unique values may count as taken, and adding a user with the same id may raise `TooBusy`.
- Reads see committed data and return immutable values. Times come back unchanged: UTC, in milliseconds.
- Every coroutine raises `StorageUnavailable` when the server cannot be reached, `TooBusy` when it is overloaded, and
  never an error of a driver. A store recovers by itself once its server is back.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from domain.records import R, RecordType
from domain.user import User
from domain.values import Email, SearchPrefix, UserId, Username


class UserRepository(Protocol):
    """All users, in the order of their ids."""

    async def get(self, user_id: UserId) -> User | None: ...

    async def find_by_email(self, email: Email) -> User | None:
        """Return the user whose email has the same canonical form."""
        ...

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        """Return the users with any of up to 1,000 emails, in no particular order, in one round trip."""
        ...

    async def find_by_username(self, username: Username) -> User | None:
        """Return the user whose username has the same canonical form."""
        ...

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        """Return up to `limit` users behind `after` in the requested order, without the first `skip`.

        The user `after` need not exist any more.
        """
        ...

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        """Return the first `limit` users, by id, whose folded name, canonical email or username has this prefix."""
        ...

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        """Return the number of all users, or of those that `search` would find without a limit."""
        ...

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        """Return the first `limit` active admins, by id. Cheap when few of many users are admins."""
        ...

    def add(self, user: User) -> None:
        """Stage a new user."""
        ...

    def save(self, user: User) -> None:
        """Stage the next state of a user. It applies if the stored version is `user.version - 1`."""
        ...

    def remove(self, user: User) -> None:
        """Stage the removal of a user and everything they own. It applies if the stored version is `user.version`."""
        ...

    def require(self, user: User) -> None:
        """Stage a condition: the commit applies only if the stored version is `user.version`."""
        ...


class Records(Protocol[R]):
    """The records of one type, in the order of their keys."""

    async def get(self, key: str) -> R | None: ...

    async def find(self, field: str, value: str) -> R | None:
        """Return the record with this value in a unique field."""
        ...

    async def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[R]:
        """Return up to `limit` records, all or one owner's, as `UserRepository.page` returns users."""
        ...

    async def count(self, *, owner: UserId | None = None) -> int:
        """Return the number of records, all or one owner's."""
        ...

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        """Return up to `limit` records that are due at or before `moment`, the earliest first, then by key."""
        ...

    def add(self, record: R) -> None:
        """Stage a new record, whose owner must exist at the commit. Raise `InvalidRecord`."""
        ...

    def save(self, record: R) -> None:
        """Stage the next state of a record. It applies if the stored version is `record.version - 1`.

        A unit of work may save one record several times, in sequence. Key and owner never change. Raises
        `InvalidRecord`.
        """
        ...

    def remove(self, record: R) -> None:
        """Stage the removal of a record. It applies if the stored version is `record.version`."""
        ...

    def require(self, record: R) -> None:
        """Stage a condition: the commit applies only if the stored version is `record.version`."""
        ...


class UnitOfWork(Protocol):
    """A group of reads and staged writes. It holds no resources and need not be closed."""

    @property
    def users(self) -> UserRepository: ...

    def records(self, record_type: RecordType[R]) -> Records[R]:
        """Return the records of a type that the storage was opened with."""
        ...

    async def commit(self) -> None:
        """Apply what was staged, all or nothing. Afterwards nothing is staged, even after an error.

        Raises:
            EmailTaken, UsernameTaken: Another user has it.
            IdTaken: The id of an added user, or the key of an added record, is in use.
            The error that a record type declares for a unique field: Another record has the value.
            UserNotFound: The owner of an added record does not exist.
            StaleVersion: A saved, removed or required record is at another version or gone.
            TooBusy: Nothing was applied; the same commit may succeed later.
            StorageUnavailable: The server was lost; whether the commit was applied is unknown.
        """
        ...


class Storage(Protocol):
    """A store of users and records. Created once per process, shared by all its tasks, closed at its end."""

    def unit_of_work(self) -> UnitOfWork: ...

    async def prepare(self) -> None:
        """Create or migrate the schema. Safe to repeat, and to run from several processes at once."""
        ...

    async def ping(self) -> None:
        """Check that the store answers and is prepared.

        Raises:
            StorageUnavailable: It does not answer.
            StorageNotPrepared: `prepare` must run first.
        """
        ...

    async def close(self) -> None:
        """Close every connection. The storage cannot be used afterwards."""
        ...
