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

    The collection's marker names these users. Each read leaves out those whom the one before has found there, and
    brings the marker along, which is of the same snapshot. If it names others, the read is repeated.
    """

    def __init__(self, database: Database, collection: Collection) -> None:
        self.collection: Final = collection
        self._database = database
        self._removed_owners: list[str] = []

    async def get(self, key: str) -> Document | None:
        keys = {"$in": [key, MARKER_ID]} if self.collection.may_hide_records else key
        return next(iter(await self._read({"_id": keys}, [], 2)), None)

    async def find(self, where: Filter, *stages: Mapping[str, Any], limit: int = 1) -> Sequence[Document]:
        """Return up to `limit` documents that the stages make of those that match."""
        if limit == 0:  # which MongoDB does not take
            return []
        pipeline = [*stages, {"$limit": limit}]
        if self.collection.may_hide_records:
            marker = [{"$match": {"_id": MARKER_ID}}]
            pipeline.append({"$unionWith": {"coll": self.collection.name, "pipeline": marker}})
        return await self._read(where, pipeline, limit + 1)

    async def _read(self, where: Filter, pipeline: Sequence[Mapping[str, Any]], most: int) -> Sequence[Document]:
        while True:
            removed = self._removed_owners
            visible = {"$and": [where, {self.collection.owner: {"$nin": removed}}]} if removed else where
            # In one batch, unless that is too big: by itself, the server begins with a hundred.
            found = await self._database.aggregate(self.collection.name, [{"$match": visible}, *pipeline], most)
            documents = [document for document in found if document.get("_id") != MARKER_ID]
            self._removed_owners = [
                owner for document in found if document.get("_id") == MARKER_ID for owner in document[REMOVED_OWNERS]
            ]
            if self._removed_owners == removed:
                return documents


class MongoRecords(Generic[R]):
    def __init__(self, record_type: RecordType[R], visible: VisibleRecords, staged: StagedWrites) -> None:
        self._type = record_type
        self._visible = visible
        self._staged = staged

    async def get(self, key: str) -> R | None:
        document = await self._visible.get(key)
        return None if document is None else record_from_document(self._type, document)

    async def find(self, field: str, value: str) -> R | None:
        found = await self._visible.find({path_of(self._type, field): value})
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
        where: dict[str, dict[str, Any]] = {} if owner is None else {self._owner_path: {"$eq": str(owner)}}
        # Every key is a text, and the marker's is not.
        where.setdefault("_id", {})["$lt" if descending and after else "$gt"] = after or ""
        order = {"$sort": {"_id": -1 if descending else 1}}
        return self._records(await self._visible.find(where, order, *([{"$skip": skip}] if skip else []), limit=limit))

    async def count(self, *, owner: UserId | None = None) -> int:
        # All are counted in the index by owner, too, where those of removed owners are passed over at once.
        where = {self._owner_path: {"$gt": ""} if owner is None else str(owner)}
        found = await self._visible.find(where, {"$count": _COUNT})
        return found[0][_COUNT] if found else 0

    async def due(self, moment: datetime, *, limit: int) -> Sequence[R]:
        path = str(self._type.due)
        earliest_first = {"$sort": {path: 1, "_id": 1}}
        return self._records(await self._visible.find({path: {"$lte": moment}}, earliest_first, limit=limit))

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
