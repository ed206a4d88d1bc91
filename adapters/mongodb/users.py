from collections.abc import Collection, Sequence
from typing import Any, Final

import pymongo

from adapters.mongodb.database import Database
from adapters.mongodb.documents import Document, user_document, user_from_document
from adapters.mongodb.schema import ACTIVE_ADMINS, PURGING, USERS, Filter
from adapters.mongodb.staged_writes import Kind, StagedWrites, Write
from adapters.prefix_range import prefix_upper_bound
from domain.user import User
from domain.values import Email, SearchPrefix, UserId, Username

_SEARCHED: Final = ("name_key", "email_key", "username_key")


class MongoUserRepository:
    """All users, without tombstones, which only name records to be deleted."""

    def __init__(self, database: Database, staged: StagedWrites) -> None:
        self._database = database
        self._staged = staged

    async def get(self, user_id: UserId) -> User | None:
        return await self._one({"_id": str(user_id)})

    async def find_by_email(self, email: Email) -> User | None:
        return await self._one({"email_key": email.canonical})

    async def find_by_emails(self, emails: Collection[Email]) -> Sequence[User]:
        keys = list({email.canonical for email in emails})
        return await self._many({"email_key": {"$in": keys}})

    async def find_by_username(self, username: Username) -> User | None:
        return await self._one({"username_key": username.canonical})

    async def page(
        self, *, after: UserId | None = None, limit: int, descending: bool = False, skip: int = 0
    ) -> Sequence[User]:
        where: Document = {PURGING: None}
        if after is not None:
            where["_id"] = {"$lt" if descending else "$gt": str(after)}
        return await self._page(where, limit, descending, skip)

    async def search(self, prefix: SearchPrefix, *, limit: int, descending: bool = False) -> Sequence[User]:
        return await self._page(_starting_with(prefix), limit, descending)

    async def count(self, prefix: SearchPrefix | None = None) -> int:
        where: Filter = {"email_key": {"$gt": ""}} if prefix is None else _starting_with(prefix)
        return await self._database.run(lambda database: database[USERS.name].count_documents(where))

    async def active_admins(self, *, limit: int) -> Sequence[User]:
        return await self._page(ACTIVE_ADMINS, limit)

    def add(self, user: User) -> None:
        self._stage(Kind.ADD, user, user_document(user))

    def save(self, user: User) -> None:
        self._stage(Kind.SAVE, user, user_document(user))

    def remove(self, user: User) -> None:
        self._stage(Kind.REMOVE, user)

    def require(self, user: User) -> None:
        self._stage(Kind.REQUIRE, user)

    def _stage(self, kind: Kind, user: User, document: Document | None = None) -> None:
        self._staged.append(Write(kind, USERS, str(user.id), user.version, document))

    async def _one(self, where: Filter) -> User | None:
        document = await self._database.run(lambda database: database[USERS.name].find_one(where))
        return None if document is None or PURGING in document else user_from_document(document)

    async def _page(self, where: Filter, limit: int, descending: bool = False, skip: int = 0) -> Sequence[User]:
        if limit == 0:  # 0 means no limit to MongoDB
            return []
        order = pymongo.DESCENDING if descending else pymongo.ASCENDING
        # In one batch, unless that is too large: by default the first batch has 100 documents.
        return await self._many(where, sort=[("_id", order)], skip=skip, limit=limit, batch_size=limit)

    async def _many(self, where: Filter, **options: Any) -> Sequence[User]:
        found = await self._database.run(lambda database: database[USERS.name].find(where, **options).to_list())
        return [user_from_document(document) for document in found]


def _starting_with(prefix: SearchPrefix) -> Filter:
    """Return the condition "starts with" as a range, which every key index supports."""
    bounds: Document = {"$gte": str(prefix)}
    end = prefix_upper_bound(prefix)
    if end is not None:
        bounds["$lt"] = end
    return {"$or": [{key: bounds} for key in _SEARCHED]}
