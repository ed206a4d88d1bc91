from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, TypeVar

from adapters.redis import scripts
from adapters.redis.records import (
    failures_from_record,
    failures_record,
    milliseconds,
    post_from_record,
    post_record,
    session_from_record,
    session_record,
    user_from_record,
    user_record,
)
from adapters.redis.server import Part, Server
from domain.credential import Credential
from domain.post import Post
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.user import User
from domain.values import Email, PostId, SearchPrefix, SessionId, UserId, Username

T = TypeVar("T")

_MOST_SORTED: Final = 5_000
_ALL: Final = -1


class RedisUserRepository:
    def __init__(self, server: Server, staged: list[Part]) -> None:
        self._server = server
        self._staged = staged

    async def get(self, user_id: UserId) -> User | None:
        return _one(await self._read(scripts.GET_USER, user_id))

    async def find_by_email(self, email: Email) -> User | None:
        return _one(await self.find_by_emails([email]))

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        return await self._read(scripts.FIND_BY_EMAILS, *{email.canonical for email in emails})

    async def find_by_username(self, username: Username) -> User | None:
        return _one(await self._read(scripts.FIND_BY_USERNAMES, username.canonical))

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        return await self._read(scripts.PAGE_USERS, *_range("", after, descending), skip, limit)

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        direction = "descending" if descending else "ascending"
        found = await self._server.read(scripts.SEARCH, prefix, direction, limit, _MOST_SORTED)
        if isinstance(found, int):
            return await self._walk(prefix, limit, descending)
        return [user_from_record(record) for record in found]

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        if prefix is None:
            return int(await self._server.read(scripts.COUNT_USERS, *_starting_with("")))
        return int(await self._server.read(scripts.SEARCH, prefix))

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        return await self._read(scripts.PAGE_ACTIVE_ADMINS, *_range("", None, descending=False), 0, limit)

    def add(self, user: User) -> None:
        self._staged += ("add_user", user.id, user_record(user))

    def save(self, user: User) -> None:
        self._staged += ("save_user", user.id, user_record(user))

    def remove(self, user: User) -> None:
        self._staged += ("remove_user", user.id, user.version)

    def require(self, user: User) -> None:
        self._staged += ("require_user", user.id, user.version)

    async def _walk(self, prefix: SearchPrefix, limit: int, descending: bool) -> Sequence[User]:
        """Find those whom so many others are found with that sorting them would keep the server from all else.

        They are not far apart. Each one's keys are looked at once, so nobody who has a fitting one all the while is
        missed.
        """
        users: list[User] = []
        last: str | None = None
        while len(users) < limit:
            some = await self._server.read(scripts.WALK, *_range("", last, descending), prefix)
            last, found = some[0] and some[0].decode(), some[1]
            if last is None:
                break
            users += map(user_from_record, found)
        return users[:limit]

    async def _read(self, script: scripts.Script, *arguments: Part) -> Sequence[User]:
        return [user_from_record(record) for record in await self._server.read(script, *arguments)]


class RedisPostRepository:
    def __init__(self, server: Server, staged: list[Part]) -> None:
        self._server = server
        self._staged = staged

    async def get(self, post_id: PostId) -> Post | None:
        return _one(await self._read(scripts.GET_POST, post_id))

    async def page(
        self,
        author_id: UserId,
        *,
        after: PostId | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[Post]:
        return await self._read(scripts.PAGE_POSTS, *_range(author_id, after, descending), skip, limit)

    async def count(self, author_id: UserId) -> int:
        return int(await self._server.read(scripts.COUNT_POSTS, *_starting_with(author_id)))

    def add(self, post: Post) -> None:
        self._staged += ("add_post", post.id, post_record(post))

    def save(self, post: Post) -> None:
        self._staged += ("save_post", post.id, post_record(post))

    def remove(self, post: Post) -> None:
        self._staged += ("remove_post", post.id, post.version)

    async def _read(self, script: scripts.Script, *arguments: Part) -> Sequence[Post]:
        return [post_from_record(record) for record in await self._server.read(script, *arguments)]


class RedisCredentialRepository:
    def __init__(self, server: Server, staged: list[Part]) -> None:
        self._server = server
        self._staged = staged

    async def get(self, user_id: UserId) -> Credential | None:
        hashes = await self._server.read(scripts.GET_CREDENTIAL, user_id)
        return Credential(user_id, hashes[0].decode()) if hashes else None

    def put(self, credential: Credential) -> None:
        self._staged += ("put_credential", credential.user_id, credential.password_hash)

    def require(self, credential: Credential) -> None:
        self._staged += ("require_credential", credential.user_id, credential.password_hash)


class RedisSessionRepository:
    def __init__(self, server: Server, staged: list[Part]) -> None:
        self._server = server
        self._staged = staged

    async def get(self, session_id: SessionId) -> Session | None:
        return _one(await self._read(scripts.GET_SESSION, session_id))

    async def of_user(self, user_id: UserId) -> Sequence[Session]:
        return await self._read(scripts.PAGE_SESSIONS, *_range(user_id, None, descending=False), 0, _ALL)

    def add(self, session: Session) -> None:
        self._staged += ("add_session", session.id, session_record(session))

    def save(self, session: Session) -> None:
        self._staged += ("save_session", session.id, session_record(session))

    def remove(self, session: Session) -> None:
        self._staged += ("remove_session", session.id, session.version)

    async def _read(self, script: scripts.Script, *arguments: Part) -> Sequence[Session]:
        return [session_from_record(record) for record in await self._server.read(script, *arguments)]


class RedisSignInFailureRepository:
    def __init__(self, server: Server, staged: list[Part]) -> None:
        self._server = server
        self._staged = staged

    async def get(self, key: str) -> SignInFailures | None:
        return _one(await self._read(scripts.GET_FAILURES, key))

    async def expired(self, moment: datetime, *, limit: int) -> Sequence[SignInFailures]:
        return await self._read(scripts.EXPIRED_FAILURES, milliseconds(moment), limit)

    def add(self, failures: SignInFailures) -> None:
        self._staged += ("add_failures", failures.key, failures_record(failures))

    def save(self, failures: SignInFailures) -> None:
        self._staged += ("save_failures", failures.key, failures_record(failures))

    def remove(self, failures: SignInFailures) -> None:
        self._staged += ("remove_failures", failures.key, failures.version)

    async def _read(self, script: scripts.Script, *arguments: Part) -> Sequence[SignInFailures]:
        return [failures_from_record(record) for record in await self._server.read(script, *arguments)]


def _one(records: Sequence[T]) -> T | None:
    return records[0] if records else None


def _starting_with(beginning: str) -> tuple[str, str]:
    """Write the range of all members of a sorted set that consist of ids, or two ids, and begin so."""
    return f"[{beginning}", f"({beginning}~"


def _range(beginning: str, after: str | None, descending: bool) -> tuple[str, str, str]:
    """Write the command and the range of those that begin so and come after one of them."""
    first, last = _starting_with(beginning)
    place = None if after is None else f"({beginning}{after}"
    if descending:
        return "ZREVRANGEBYLEX", place or last, first
    return "ZRANGEBYLEX", place or first, last
