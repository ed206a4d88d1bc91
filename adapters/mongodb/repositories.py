from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

from adapters.mongodb.database import Database
from adapters.mongodb.documents import (
    Document,
    credential_document,
    credential_from_document,
    failures_document,
    failures_from_document,
    post_document,
    post_from_document,
    session_document,
    session_from_document,
    user_document,
    user_from_document,
)
from adapters.mongodb.schema import ACTIVE_ADMINS, CREDENTIALS, POSTS, SESSIONS, SIGN_IN_FAILURES, USERS
from adapters.mongodb.staged_writes import StagedWrites
from adapters.text_range import successor
from domain.credential import Credential
from domain.post import Post
from domain.session import Session
from domain.sign_in_failures import SignInFailures
from domain.user import User
from domain.values import Email, PostId, SearchPrefix, SessionId, UserId, Username

Filter: TypeAlias = Mapping[str, Any]

_SEARCHED: Final = ("name_key", "email_key", "username_key")


class MongoUserRepository:
    def __init__(self, database: Database, staged: StagedWrites) -> None:
        self._database = database
        self._staged = staged

    async def get(self, user_id: UserId) -> User | None:
        return await self._one({"_id": str(user_id)})

    async def find_by_email(self, email: Email) -> User | None:
        return await self._one({"email_key": email.canonical})

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        keys = list({email.canonical for email in emails})
        found = await self._database.documents(USERS, {"email_key": {"$in": keys}})
        return [user_from_document(document) for document in found]

    async def find_by_username(self, username: Username) -> User | None:
        return await self._one({"username_key": username.canonical})

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        found = await self._database.page(USERS, _behind(after, descending), limit, descending, skip)
        return [user_from_document(document) for document in found]

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        found = await self._database.page(USERS, _starting_with(prefix), limit, descending)
        return [user_from_document(document) for document in found]

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        return await self._database.count(USERS, {} if prefix is None else _starting_with(prefix))

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        found = await self._database.page(USERS, ACTIVE_ADMINS, limit)
        return [user_from_document(document) for document in found]

    def add(self, user: User) -> None:
        self._staged.add(USERS, user_document(user))

    def save(self, user: User) -> None:
        self._staged.save(USERS, user_document(user))

    def remove(self, user: User) -> None:
        self._staged.remove(USERS, str(user.id), user.version)

    def require(self, user: User) -> None:
        self._staged.require(USERS, {"_id": str(user.id), "version": user.version})

    async def _one(self, wanted: Filter) -> User | None:
        document = await self._database.document(USERS, wanted)
        return None if document is None else user_from_document(document)


class MongoPostRepository:
    def __init__(self, database: Database, staged: StagedWrites) -> None:
        self._database = database
        self._staged = staged

    async def get(self, post_id: PostId) -> Post | None:
        document = await self._database.document(POSTS, {"_id": str(post_id)})
        return None if document is None else post_from_document(document)

    async def page(
        self,
        author_id: UserId,
        *,
        after: PostId | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[Post]:
        written = {"author_id": str(author_id), **_behind(after, descending)}
        found = await self._database.page(POSTS, written, limit, descending, skip)
        return [post_from_document(document) for document in found]

    async def count(self, author_id: UserId) -> int:
        return await self._database.count(POSTS, {"author_id": str(author_id)})

    def add(self, post: Post) -> None:
        self._staged.add(POSTS, post_document(post), owner=str(post.author_id))

    def save(self, post: Post) -> None:
        self._staged.save(POSTS, post_document(post))

    def remove(self, post: Post) -> None:
        self._staged.remove(POSTS, str(post.id), post.version)


class MongoCredentialRepository:
    def __init__(self, database: Database, staged: StagedWrites) -> None:
        self._database = database
        self._staged = staged

    async def get(self, user_id: UserId) -> Credential | None:
        document = await self._database.document(CREDENTIALS, {"_id": str(user_id)})
        return None if document is None else credential_from_document(document)

    def put(self, credential: Credential) -> None:
        self._staged.add(CREDENTIALS, credential_document(credential), owner=str(credential.user_id))

    def require(self, credential: Credential) -> None:
        self._staged.require(CREDENTIALS, credential_document(credential))


class MongoSessionRepository:
    def __init__(self, database: Database, staged: StagedWrites) -> None:
        self._database = database
        self._staged = staged

    async def get(self, session_id: SessionId) -> Session | None:
        document = await self._database.document(SESSIONS, {"_id": str(session_id)})
        return None if document is None else session_from_document(document)

    async def of_user(self, user_id: UserId) -> Sequence[Session]:
        found = await self._database.page(SESSIONS, {"user_id": str(user_id)})
        return [session_from_document(document) for document in found]

    def add(self, session: Session) -> None:
        self._staged.add(SESSIONS, session_document(session), owner=str(session.user_id))

    def save(self, session: Session) -> None:
        self._staged.save(SESSIONS, session_document(session))

    def remove(self, session: Session) -> None:
        self._staged.remove(SESSIONS, str(session.id), session.version)


class MongoSignInFailureRepository:
    def __init__(self, database: Database, staged: StagedWrites) -> None:
        self._database = database
        self._staged = staged

    async def get(self, key: str) -> SignInFailures | None:
        document = await self._database.document(SIGN_IN_FAILURES, {"_id": key})
        return None if document is None else failures_from_document(document)

    async def expired(self, moment: datetime, *, limit: int) -> Sequence[SignInFailures]:
        found = await self._database.documents(SIGN_IN_FAILURES, {"expires_at": {"$lte": moment}}, limit)
        return [failures_from_document(document) for document in found]

    def add(self, failures: SignInFailures) -> None:
        self._staged.add(SIGN_IN_FAILURES, failures_document(failures))

    def save(self, failures: SignInFailures) -> None:
        self._staged.save(SIGN_IN_FAILURES, failures_document(failures))

    def remove(self, failures: SignInFailures) -> None:
        self._staged.remove(SIGN_IN_FAILURES, failures.key, failures.version)


def _behind(after: str | None, descending: bool) -> Filter:
    return {} if after is None else {"_id": {"$lt" if descending else "$gt": str(after)}}


def _starting_with(prefix: SearchPrefix) -> Filter:
    """Write "starts with" as a range, which every index on a key can serve."""
    bounds: Document = {"$gte": str(prefix)}
    end = successor(prefix)
    if end is not None:
        bounds["$lt"] = end
    return {"$or": [{key: bounds} for key in _SEARCHED]}
