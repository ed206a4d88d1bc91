from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, TypeAlias

from adapters.memory.table import Journal
from adapters.memory.tables import Tables
from adapters.storage_kind import StorageKind
from domain.credential import Credential
from domain.post import Post
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.user import User
from domain.values import Email, PostId, SearchPrefix, SessionId, UserId, Username

_Write: TypeAlias = Callable[[Journal], None]


class MemoryUserRepository:
    def __init__(self, tables: Tables, staged: list[_Write]) -> None:
        self._tables = tables
        self._staged = staged

    async def get(self, user_id: UserId) -> User | None:
        return self._tables.users.get(user_id)

    async def find_by_email(self, email: Email) -> User | None:
        user_id = self._tables.ids_by_email.get(email.canonical)
        return None if user_id is None else self._tables.users.get(user_id)

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        found = [await self.find_by_email(email) for email in {email.canonical: email for email in emails}.values()]
        return [user for user in found if user]

    async def find_by_username(self, username: Username) -> User | None:
        user_id = self._tables.ids_by_username.get(username.canonical)
        return None if user_id is None else self._tables.users.get(user_id)

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        return list(islice(self._tables.users.walk(after, descending=descending), skip, skip + limit))

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        return list(islice(self._starting_with(prefix, descending=descending), limit))

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        if prefix is None:
            return len(self._tables.users)
        return sum(1 for _ in self._starting_with(prefix))

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        users = self._tables.users.walk(None, descending=False)
        return list(islice((user for user in users if user.is_active_admin), limit))

    def add(self, user: User) -> None:
        self._staged.append(lambda journal: self._tables.add_user(user, journal))

    def save(self, user: User) -> None:
        self._staged.append(lambda journal: self._tables.save_user(user, journal))

    def remove(self, user: User) -> None:
        self._staged.append(lambda journal: self._tables.remove_user(user, journal))

    def require(self, user: User) -> None:
        self._staged.append(lambda _: self._tables.require_user(user))

    def _starting_with(self, prefix: SearchPrefix, *, descending: bool = False) -> Iterator[User]:
        return (
            user
            for user in self._tables.users.walk(None, descending=descending)
            if any(key.startswith(prefix) for key in user.search_keys)
        )


class MemoryPostRepository:
    def __init__(self, tables: Tables, staged: list[_Write]) -> None:
        self._tables = tables
        self._staged = staged

    async def get(self, post_id: PostId) -> Post | None:
        return self._tables.posts.get(post_id)

    async def page(
        self,
        author_id: UserId,
        *,
        after: PostId | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[Post]:
        posts = self._tables.posts_of(author_id)
        return list(islice(posts.walk(after, descending=descending), skip, skip + limit))

    async def count(self, author_id: UserId) -> int:
        return len(self._tables.posts_of(author_id))

    def add(self, post: Post) -> None:
        self._staged.append(lambda journal: self._tables.add_post(post, journal))

    def save(self, post: Post) -> None:
        self._staged.append(lambda journal: self._tables.save_post(post, journal))

    def remove(self, post: Post) -> None:
        self._staged.append(lambda journal: self._tables.remove_post(post, journal))


class MemoryCredentialRepository:
    def __init__(self, tables: Tables, staged: list[_Write]) -> None:
        self._tables = tables
        self._staged = staged

    async def get(self, user_id: UserId) -> Credential | None:
        return self._tables.credentials.get(user_id)

    def put(self, credential: Credential) -> None:
        self._staged.append(lambda journal: self._tables.put_credential(credential, journal))

    def require(self, credential: Credential) -> None:
        self._staged.append(lambda _: self._tables.require_credential(credential))


class MemorySessionRepository:
    def __init__(self, tables: Tables, staged: list[_Write]) -> None:
        self._tables = tables
        self._staged = staged

    async def get(self, session_id: SessionId) -> Session | None:
        return self._tables.sessions.get(session_id)

    async def of_user(self, user_id: UserId) -> Sequence[Session]:
        return list(self._tables.sessions_of(user_id).walk(None, descending=False))

    def add(self, session: Session) -> None:
        self._staged.append(lambda journal: self._tables.add_session(session, journal))

    def save(self, session: Session) -> None:
        self._staged.append(lambda journal: self._tables.save_session(session, journal))

    def remove(self, session: Session) -> None:
        self._staged.append(lambda journal: self._tables.remove_session(session, journal))


class MemorySignInFailureRepository:
    def __init__(self, tables: Tables, staged: list[_Write]) -> None:
        self._tables = tables
        self._staged = staged

    async def get(self, key: str) -> SignInFailures | None:
        return self._tables.sign_in_failures.get(key)

    async def expired(self, moment: datetime, *, limit: int) -> Sequence[SignInFailures]:
        everybody = self._tables.sign_in_failures.walk(None, descending=False)
        return list(islice((failures for failures in everybody if failures.expires_at <= moment), limit))

    def add(self, failures: SignInFailures) -> None:
        self._staged.append(lambda journal: self._tables.add_failures(failures, journal))

    def save(self, failures: SignInFailures) -> None:
        self._staged.append(lambda journal: self._tables.save_failures(failures, journal))

    def remove(self, failures: SignInFailures) -> None:
        self._staged.append(lambda journal: self._tables.remove_failures(failures, journal))


class MemoryUnitOfWork:
    def __init__(self, tables: Tables) -> None:
        self._staged: list[_Write] = []
        self.users = MemoryUserRepository(tables, self._staged)
        self.posts = MemoryPostRepository(tables, self._staged)
        self.credentials = MemoryCredentialRepository(tables, self._staged)
        self.sessions = MemorySessionRepository(tables, self._staged)
        self.sign_in_failures = MemorySignInFailureRepository(tables, self._staged)

    async def commit(self) -> None:
        # Nothing here waits, so no other task can see a half of it.
        writes = self._staged.copy()
        self._staged.clear()
        journal: Journal = []
        try:
            for write in writes:
                write(journal)
        except BaseException:
            for undo in reversed(journal):
                undo()
            raise


class MemoryStorage:
    def __init__(self) -> None:
        self._tables = Tables()

    def unit_of_work(self) -> MemoryUnitOfWork:
        return MemoryUnitOfWork(self._tables)

    async def prepare(self) -> None:
        """There is nothing to prepare."""

    async def ping(self) -> None:
        """There is nobody who could fail to answer."""

    async def close(self) -> None:
        """There is nothing to give back."""


def open_storage(url: str) -> MemoryStorage:
    """Open `memory://`; raises `ValueError` for anything behind it."""
    if url != "memory://":
        raise ValueError("memory:// takes nothing behind it")
    return MemoryStorage()


KIND: Final = StorageKind(open_storage, embedded=True, shared=False)
