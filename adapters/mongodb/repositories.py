from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, TypeAlias

from adapters.mongodb.database import Database
from adapters.mongodb.documents import (
    Document,
    credential_document,
    credential_from_document,
    post_document,
    post_from_document,
    user_document,
    user_from_document,
)
from adapters.mongodb.schema import CREDENTIALS, POSTS, USERS
from adapters.mongodb.staged_writes import StagedWrites
from adapters.text_range import successor
from domain.credential import Credential
from domain.post import Post
from domain.user import User
from domain.values import Email, PostId, SearchPrefix, UserId, Username

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

    def add(self, user: User) -> None:
        self._staged.add(USERS, user_document(user))

    def save(self, user: User) -> None:
        self._staged.save(USERS, user_document(user))

    def remove(self, user: User) -> None:
        self._staged.remove(USERS, str(user.id), user.version)

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


def _behind(after: str | None, descending: bool) -> Filter:
    return {} if after is None else {"_id": {"$lt" if descending else "$gt": str(after)}}


def _starting_with(prefix: SearchPrefix) -> Filter:
    """Write "starts with" as a range, which every index on a key can serve."""
    bounds: Document = {"$gte": str(prefix)}
    end = successor(prefix)
    if end is not None:
        bounds["$lt"] = end
    return {"$or": [{key: bounds} for key in _SEARCHED]}
