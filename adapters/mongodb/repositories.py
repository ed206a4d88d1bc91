from collections.abc import Collection as AbstractCollection
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic

from pymongo import ASCENDING, DESCENDING
from pymongo.asynchronous.database import AsyncDatabase

from adapters.mongodb.database import Database
from adapters.mongodb.documents import (
    Document,
    record_document,
    record_from_document,
    user_document,
    user_from_document,
)
from adapters.mongodb.schema import (
    ACTIVE_ADMINS,
    MARKER_ID,
    PURGING,
    REMOVED_OWNERS,
    USERS,
    Collection,
    Filter,
    path_of,
)
from adapters.mongodb.staged_writes import Kind, StagedWrites, Write
from adapters.prefix_range import prefix_upper_bound
from domain.records import R, RecordType
from domain.user import User
from domain.values import Email, SearchPrefix, UserId, Username

_BATCH: Final = 2_000  # more than any page has
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

    async def find_by_emails(self, emails: AbstractCollection[Email]) -> Sequence[User]:
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
        order = DESCENDING if descending else ASCENDING
        # In one batch, unless that is too large: by default the first batch has 100 documents.
        return await self._many(where, sort=[("_id", order)], skip=skip, limit=limit, batch_size=limit)

    async def _many(self, where: Filter, **options: Any) -> Sequence[User]:
        found = await self._database.run(lambda database: database[USERS.name].find(where, **options).to_list())
        return [user_from_document(document) for document in found]


class VisibleRecords:
    """Reads a collection without the records of removed users that have not been deleted yet.

    Each read is one command, which also returns the collection's marker, or a guard, from the same snapshot.
    """

    def __init__(self, database: Database, collection: Collection) -> None:
        self.collection: Final = collection
        self._database = database
        self._removed_owners: Sequence[str] = []

    async def get(self, key: str) -> Document | None:
        where = {"_id": {"$in": [key, MARKER_ID]} if self.collection.may_hide_records else key}
        found, removed_owners = _without_marker(await self._find(where, batch_size=3))
        return next((document for document in found if document.get(self._owner) not in removed_owners), None)

    async def of_owner(self, owner: str, where: Filter, **options: Any) -> Sequence[Document]:
        """Return the matching documents of one owner, by key; guards must match too."""
        found = await self._find({"$and": [{self._owner: owner}, where]}, **options)
        return [] if found and not isinstance(found[0]["_id"], str) else found

    async def count_of_owner(self, owner: str) -> int:
        count = {"$group": {"_id": None, "count": {"$sum": 1}, "first": {"$min": "$_id"}}}
        found = await self._aggregate([{"$match": {self._owner: owner}}, count])
        return found[0]["count"] if found and isinstance(found[0]["first"], str) else 0

    async def of_all(self, index: Mapping[str, int], where: Filter, *stages: Filter) -> Sequence[Document]:
        """Return the result of the stages on the matching documents, found through an index.

        The owners whose records are excluded are those of the previous read. If others were removed since, the read is
        repeated.
        """
        marker = {"$unionWith": {"coll": self.collection.name, "pipeline": [{"$match": {"_id": MARKER_ID}}]}}
        markers = [marker] if self.collection.may_hide_records else []
        while True:
            excluded = self._removed_owners
            visible = {"$and": [where, {self._owner: {"$nin": excluded}}]} if excluded else where
            found = await self._aggregate([{"$match": visible}, *stages, *markers], hint=index)
            documents, self._removed_owners = _without_marker(found)
            if self._removed_owners == excluded:
                return documents

    async def count(self) -> int:
        # The index by owner skips the records of a removed owner in one step.
        index = {self._owner: 1, "_id": 1}
        found = await self.of_all(index, {self._owner: {"$gt": ""}}, {"$count": "count"})
        return found[0]["count"] if found else 0

    @property
    def _owner(self) -> str:
        return self.collection.owner or "_id"

    async def _find(self, where: Filter, **options: Any) -> Sequence[Document]:
        name = self.collection.name
        return await self._database.run(lambda database: database[name].find(where, **options).to_list())

    async def _aggregate(self, pipeline: Sequence[Filter], **options: Any) -> Sequence[Document]:
        async def aggregate(database: AsyncDatabase[Document]) -> Sequence[Document]:
            # In one batch, unless that is too large: by default the first batch has 100 documents.
            cursor = await database[self.collection.name].aggregate(pipeline, batchSize=_BATCH, **options)
            return await cursor.to_list()

        return await self._database.run(aggregate)


class MongoRecords(Generic[R]):
    def __init__(self, record_type: RecordType[R], visible: VisibleRecords, staged: StagedWrites) -> None:
        self._type = record_type
        self._visible = visible
        self._staged = staged

    async def get(self, key: str) -> R | None:
        document = await self._visible.get(key)
        return None if document is None else record_from_document(self._type, document)

    async def find(self, field: str, value: str) -> R | None:
        path = path_of(self._type, field)
        found = await self._visible.of_all({path: 1}, {path: value})
        return record_from_document(self._type, found[0]) if found else None

    async def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[R]:
        if limit == 0:  # MongoDB rejects it
            return []
        order = DESCENDING if descending else ASCENDING
        if owner is not None and not skip:
            # A guard comes first in either order: numbers sort before texts, and objects after them.
            where = {} if after is None else {"_id": {"$not": {"$gte" if descending else "$lte": after}}}
            found = await self._visible.of_owner(owner, where, sort=[("_id", order)], limit=limit, batch_size=limit)
            return self._records(found)
        conditions: list[Filter] = [{"_id": {"$lt" if descending and after else "$gt": after or ""}}]
        index = {"_id": 1}
        if owner is not None:
            path = str(self._visible.collection.owner)
            conditions.append({path: owner})
            index = {path: 1, "_id": 1}
        stages: list[Filter] = [{"$sort": {"_id": order}}, {"$skip": skip}, {"$limit": limit}]
        return self._records(await self._visible.of_all(index, {"$and": conditions}, *stages))

    async def count(self, *, owner: UserId | None = None) -> int:
        return await (self._visible.count() if owner is None else self._visible.count_of_owner(owner))

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        if limit == 0:
            return []
        path = str(self._type.due)
        index = {path: 1, "_id": 1}
        stages: list[Filter] = [{"$sort": index}, {"$limit": limit}]
        return self._records(await self._visible.of_all(index, {path: {"$lte": moment}}, *stages))

    def add(self, record: R) -> None:
        self._stage(Kind.ADD, record, record_document(self._type, record))

    def save(self, record: R) -> None:
        self._stage(Kind.SAVE, record, record_document(self._type, record))

    def remove(self, record: R) -> None:
        self._stage(Kind.REMOVE, record)

    def require(self, record: R) -> None:
        self._stage(Kind.REQUIRE, record)

    def _stage(self, kind: Kind, record: R, document: Document | None = None) -> None:
        owner = self._type.owner_of(record)
        self._staged.append(
            Write(
                kind,
                self._visible.collection,
                self._type.key_of(record),
                record.version,
                document,
                None if owner is None else str(owner),
            )
        )

    def _records(self, documents: Sequence[Document]) -> Sequence[R]:
        return [record_from_document(self._type, document) for document in documents]


def _starting_with(prefix: SearchPrefix) -> Filter:
    """Return the condition "starts with" as a range, which every key index supports."""
    bounds: Document = {"$gte": str(prefix)}
    end = prefix_upper_bound(prefix)
    if end is not None:
        bounds["$lt"] = end
    return {"$or": [{key: bounds} for key in _SEARCHED]}


def _without_marker(documents: Sequence[Document]) -> tuple[Sequence[Document], Sequence[str]]:
    """Return the documents except the marker, and the owners that the marker names."""
    for at, document in enumerate(documents):
        if document.get("_id") is MARKER_ID:
            return [*documents[:at], *documents[at + 1 :]], document[REMOVED_OWNERS]
    return documents, []
