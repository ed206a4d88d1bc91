"""The ports behind which users are kept, with their posts, credentials and sessions.

Every store keeps the same promises, and the suite in `adapters/storage_contract` holds it to each of them:

- **Staged.** `add`, `save`, `remove`, `put` and `require` only note what is wanted. Nothing happens before `commit()`,
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
- **Removing a user removes their posts, credential and sessions**; nobody can find an orphan afterwards.
- Reads see what is committed and give immutable values. Times come back as they went in: UTC, in milliseconds.
- Every method that waits raises `StorageUnavailable` when the server cannot be reached, `TooBusy` when it has no
  room, and never an error of a driver. A store heals by itself once its server is back.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from domain.credential import Credential
from domain.post import Post
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.user import User
from domain.values import Email, PostId, SearchPrefix, SessionId, UserId, Username


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


class PostRepository(Protocol):
    """All posts; listed author by author, in the order of their ids."""

    async def get(self, post_id: PostId) -> Post | None: ...

    async def page(
        self,
        author_id: UserId,
        *,
        after: PostId | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[Post]:
        """Read an author's posts as `UserRepository.page` reads users; none for an unknown author."""
        ...

    async def count(self, author_id: UserId) -> int: ...

    def add(self, post: Post) -> None:
        """Stage a post that is not there yet; its author must exist at the commit."""
        ...

    def save(self, post: Post) -> None:
        """Stage the next state of a post: it applies if the stored version is `post.version - 1`."""
        ...

    def remove(self, post: Post) -> None:
        """Stage a removal: it applies if the stored version is `post.version`."""
        ...


class CredentialRepository(Protocol):
    """At most one credential a user."""

    async def get(self, user_id: UserId) -> Credential | None: ...

    def put(self, credential: Credential) -> None:
        """Stage a credential, in place of any earlier one; its user must exist at the commit."""
        ...

    def require(self, credential: Credential) -> None:
        """Stage a condition: the commit applies only if this very credential is stored."""
        ...


class SessionRepository(Protocol):
    """All sessions; listed user by user, in the order of their ids. Those that have expired are not left out."""

    async def get(self, session_id: SessionId) -> Session | None: ...

    async def of_user(self, user_id: UserId) -> Sequence[Session]:
        """Read all sessions of a user, who has few; none for an unknown user."""
        ...

    def add(self, session: Session) -> None:
        """Stage a session that is not there yet; its user must exist at the commit."""
        ...

    def save(self, session: Session) -> None:
        """Stage the next state of a session: it applies if the stored version is `session.version - 1`."""
        ...

    def remove(self, session: Session) -> None:
        """Stage a removal: it applies if the stored version is `session.version`."""
        ...


class SignInFailureRepository(Protocol):
    """Failed sign-ins, by the key of whose they are. They belong to no user, and are not removed with one."""

    async def get(self, key: str) -> SignInFailures | None: ...

    async def expired(self, moment: datetime, *, limit: int) -> Sequence[SignInFailures]:
        """Read up to `limit` of those whose `expires_at` is not after `moment`, in no particular order."""
        ...

    def add(self, failures: SignInFailures) -> None:
        """Stage failures under a key that is not there yet."""
        ...

    def save(self, failures: SignInFailures) -> None:
        """Stage the next state: it applies if the stored version is `failures.version - 1`."""
        ...

    def remove(self, failures: SignInFailures) -> None:
        """Stage a removal: it applies if the stored version is `failures.version`."""
        ...


class UnitOfWork(Protocol):
    """Some reads and staged writes that belong together. It holds nothing open and need not be closed."""

    @property
    def users(self) -> UserRepository: ...

    @property
    def posts(self) -> PostRepository: ...

    @property
    def credentials(self) -> CredentialRepository: ...

    @property
    def sessions(self) -> SessionRepository: ...

    @property
    def sign_in_failures(self) -> SignInFailureRepository: ...

    async def commit(self) -> None:
        """Apply what was staged, all or nothing; afterwards nothing is staged, whatever the outcome.

        Raises:
            EmailTaken, UsernameTaken: another user has it.
            IdTaken: an added record's id, or key, is in use.
            UserNotFound: the author of an added post, or the user of a credential or session, does not exist.
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
