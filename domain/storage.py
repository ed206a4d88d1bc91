"""The ports behind which users are kept, and the records of every declared type.

Every store keeps the same promises, and the suite in `adapters/storage_contract` holds it to each of them:

- **Staged.** `add`, `save`, `remove` and `require` only note what is wanted. Nothing happens before `commit()`,
  and a unit of work that is dropped without one has changed nothing.
- **All or nothing.** A commit applies everything that was staged, in that order, or nothing at all; what it
  applied is durable when it returns, and a reader sees all of it or none.
- **Conflicts surface at the commit**, as the domain errors named there, decided by the store's own
  constraints: of any number of racing commits for one email, username or version, one wins.
- **No lost updates.** `save` and `remove` apply only to the version that was read.
- **Conditions hold.** What is `require`d is so at the moment of the commit, and nobody changes it during it: of two
  commits each of which changes what the other requires, one at most applies.
- **Exact text.** Canonical emails and usernames are compared as they are, code point by code point; the store
  adds no folding, trimming or collation of its own.
- **Pages are by id**, which is the order of creation; a walk meets each record that was there all the while
  exactly once, whatever is written meanwhile.
- **Removing a user removes every record that they own**, however many. From the commit on nothing finds these records;
  the store then deletes them in bounded batches, and goes on after an interruption when it is next used. Until they are
  deleted, their keys and unique values may count as taken, and adding a user with the same id may raise `TooBusy`.
- Reads see what is committed and give immutable values. Times come back as they went in: UTC, in milliseconds.
- Every method that waits raises `StorageUnavailable` when the server cannot be reached, `TooBusy` when it has no
  room, and never an error of a driver. A store heals by itself once its server is back.
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
        """Find the user whose email has the same canonical form."""
        ...

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        """Find the users who have one of at most 1,000 emails, in no particular order, in one go."""
        ...

    async def find_by_username(self, username: Username) -> User | None:
        """Find the user whose username has the same canonical form."""
        ...

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        """Read up to `limit` users that come after `after` in the order asked for, leaving out the first `skip`.

        `after` need not exist any more.
        """
        ...

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        """Read the first `limit` users, by id, whose folded name, canonical email or username starts so."""
        ...

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        """Count all users, or those whom `search` would find if it had no limit."""
        ...

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        """Read the first `limit` users, by id, who are admins and active; a few admins among many users cost little."""
        ...

    def add(self, user: User) -> None:
        """Stage a user who is not there yet."""
        ...

    def save(self, user: User) -> None:
        """Stage the next state of a user: it applies if the stored version is `user.version - 1`."""
        ...

    def remove(self, user: User) -> None:
        """Stage a removal, with all that is the user's: it applies if the stored version is `user.version`."""
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
        """Stage a record that is not there yet; its owner must exist at the commit. Raises `InvalidRecord`."""
        ...

    def save(self, record: R) -> None:
        """Stage the next state of a record: it applies if the stored version is `record.version - 1`.

        Several saves of one record in a unit of work follow one another. Key and owner never change. Raises
        `InvalidRecord`.
        """
        ...

    def remove(self, record: R) -> None:
        """Stage a removal: it applies if the stored version is `record.version`."""
        ...

    def require(self, record: R) -> None:
        """Stage a condition: the commit applies only if the stored version is `record.version`."""
        ...


class UnitOfWork(Protocol):
    """Some reads and staged writes that belong together. It holds nothing open and need not be closed."""

    @property
    def users(self) -> UserRepository: ...

    def records(self, record_type: RecordType[R]) -> Records[R]:
        """Return the records of a type among those that the storage was opened with."""
        ...

    async def commit(self) -> None:
        """Apply what was staged, all or nothing; afterwards nothing is staged, whatever the outcome.

        Raises:
            EmailTaken, UsernameTaken: another user has it.
            IdTaken: the id of an added user, or the key of an added record, is in use.
            The error that a record type declares for a unique field: another record has the value.
            UserNotFound: the owner of an added record does not exist.
            StaleVersion: a saved, removed or required record is at another version or gone.
            TooBusy: nothing was applied; the same commit may succeed later.
            StorageUnavailable: the server was lost; whether the commit was applied is unknown.
        """
        ...


class Storage(Protocol):
    """A place that keeps users. Made once a process, shared by all its tasks, closed at its end."""

    def unit_of_work(self) -> UnitOfWork: ...

    async def prepare(self) -> None:
        """Create or migrate what the store needs; safe to repeat, and to run from several processes at once."""
        ...

    async def ping(self) -> None:
        """Return when the store answers and is prepared.

        Raises:
            StorageUnavailable: it does not answer.
            StorageNotPrepared: `prepare` has to be run first.
        """
        ...

    async def close(self) -> None:
        """Give back every connection. The storage is of no use afterwards."""
        ...
