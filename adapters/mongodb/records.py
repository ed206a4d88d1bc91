from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic

from adapters.mongodb.database import Database
from adapters.mongodb.documents import Document, record_document, record_from_document
from adapters.mongodb.schema import MARKER_ID, REMOVED_OWNERS, Collection, Filter, path_of
from adapters.mongodb.staged_writes import Kind, StagedWrites, Write
from domain.records import R, RecordType
from domain.values import UserId

_COUNT: Final = "count"


class VisibleRecords:
    """Reads a collection without the records of removed users that are still to be deleted.

    The collection's marker names these users. Each read brings it along, of the same snapshot and in the same command.
    """

    def __init__(self, database: Database, collection: Collection) -> None:
        self.collection: Final = collection
        self._database = database
        self._removed_owners: Sequence[str] = []

    async def get(self, key: str) -> Document | None:
        keys = {"$in": [key, MARKER_ID]} if self.collection.may_hide_records else key
        return self._first(*await self._read([{"$match": {"_id": keys}}], 1))

    async def find(self, where: Filter) -> Document | None:
        return self._first(*await self._read([{"$match": where}, {"$limit": 1}, *self._marker], 1))

    async def of_owner(self, owner: str, where: Filter, *stages: Filter, limit: int = 1) -> Sequence[Document]:
        """Return up to `limit` documents that the stages make of those of one owner."""
        owned = {"$and": [{self.collection.owner: owner}, where]}
        pipeline = [{"$match": owned}, *stages, {"$limit": limit}, *self._marker]
        found, removed_owners = await self._read(pipeline, limit)
        return [] if owner in removed_owners else found

    async def of_all(
        self, index: Mapping[str, int], where: Filter, *stages: Filter, limit: int = 1
    ) -> Sequence[Document]:
        """Return up to `limit` documents that the stages make of all, looked up in an index.

        The owners whose records are left out are those whom the last read has found. If there are others by now, it is
        repeated.
        """
        while True:
            excluded = self._removed_owners
            visible = {"$and": [where, {self.collection.owner: {"$nin": excluded}}]} if excluded else where
            pipeline = [{"$match": visible}, *stages, {"$limit": limit}, *self._marker]
            found, self._removed_owners = await self._read(pipeline, limit, hint=index)
            if self._removed_owners == excluded:
                return found

    @property
    def _marker(self) -> Sequence[Filter]:
        """The stages that bring the marker along."""
        if not self.collection.may_hide_records:
            return []
        return [{"$unionWith": {"coll": self.collection.name, "pipeline": [{"$match": {"_id": MARKER_ID}}]}}]

    def _first(self, documents: Sequence[Document], removed_owners: Sequence[object]) -> Document | None:
        owner = str(self.collection.owner)
        return next((document for document in documents if document.get(owner) not in removed_owners), None)

    async def _read(
        self, pipeline: Sequence[Filter], limit: int, **options: Any
    ) -> tuple[Sequence[Document], Sequence[str]]:
        # In one batch, unless that is too big: by itself, the server begins with a hundred. It ends the cursor with the
        # batch that is not full, so there is room for the marker and one more.
        documents = await self._database.aggregate(self.collection.name, pipeline, batchSize=limit + 2, **options)
        for at, document in enumerate(documents):
            if document.get("_id") == MARKER_ID:
                return [*documents[:at], *documents[at + 1 :]], document[REMOVED_OWNERS]
        return documents, []


class MongoRecords(Generic[R]):
    def __init__(self, record_type: RecordType[R], visible: VisibleRecords, staged: StagedWrites) -> None:
        self._type = record_type
        self._visible = visible
        self._staged = staged

    async def get(self, key: str) -> R | None:
        document = await self._visible.get(key)
        return None if document is None else record_from_document(self._type, document)

    async def find(self, field: str, value: str) -> R | None:
        document = await self._visible.find({path_of(self._type, field): value})
        return None if document is None else record_from_document(self._type, document)

    async def page(
        self,
        *,
        owner: UserId | None = None,
        after: str | None = None,
        limit: int,
        descending: bool = False,
        skip: int = 0,
    ) -> Sequence[R]:
        if limit == 0:  # which MongoDB does not take
            return []
        # Every key is a text, and the marker's is not.
        where = {"_id": {"$lt" if descending and after else "$gt": after or ""}}
        stages: list[Filter] = [{"$sort": {"_id": -1 if descending else 1}}]
        if skip:
            stages.append({"$skip": skip})
        if owner is None:
            found = await self._visible.of_all({"_id": 1}, where, *stages, limit=limit)
        else:
            found = await self._visible.of_owner(owner, where, *stages, limit=limit)
        return self._records(found)

    async def count(self, *, owner: UserId | None = None) -> int:
        counting = {"$count": _COUNT}
        if owner is None:
            # In the index by owner, the records of removed ones are passed over at once.
            index = {self._owner_path: 1, "_id": 1}
            found = await self._visible.of_all(index, {self._owner_path: {"$gt": ""}}, counting)
        else:
            found = await self._visible.of_owner(owner, {}, counting)
        return found[0][_COUNT] if found else 0

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        if limit == 0:
            return []
        path = str(self._type.due)
        index = {path: 1, "_id": 1}
        return self._records(await self._visible.of_all(index, {path: {"$lte": moment}}, {"$sort": index}, limit=limit))

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

    @property
    def _owner_path(self) -> str:
        return self._visible.collection.owner or "_id"

    def _records(self, documents: Sequence[Document]) -> Sequence[R]:
        return [record_from_document(self._type, document) for document in documents]
