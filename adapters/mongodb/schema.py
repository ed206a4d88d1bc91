"""Collections, their indexes, and the schema version, which a separate document holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pymongo import IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.read_concern import ReadConcern

from adapters.mongodb.documents import Document
from domain.errors import DomainError, EmailTaken, IdTaken, UsernameTaken
from domain.records import RecordType
from domain.user import Role

Database: TypeAlias = AsyncDatabase[Document]
Filter: TypeAlias = Mapping[str, Any]

ACTIVE_ADMINS: Final[Filter] = {"role": Role.ADMIN.value, "active": True}

# No entity has fields with these names, or a key that is not a text. The marker sorts after all keys. Before them, each
# lookup would scan the index entries of deleted records, which the server keeps for minutes.
PURGING: Final = "purging-collections"
REMOVED_OWNERS: Final = "removed-owners"
MARKER_ID: Final = False

VERSION: Final = 1
_VERSIONS: Final = "schema.version"
_SIMPLE: Final = {"locale": "simple"}  # byte order, independent of the collection's default
_BY_ID: Final = IndexModel("_id", name="_id_")  # every collection has it; requesting it creates a missing collection


@dataclass(frozen=True, slots=True, eq=False)
class Collection:
    """The collection of the users, or of one record type."""

    name: str
    indexes: Sequence[IndexModel]
    unique: Mapping[str, type[DomainError]]
    """The error for a duplicate value, by field."""

    owner: str | None = None
    """The field with the id of the owning user."""

    @property
    def may_hide_records(self) -> bool:
        """Whether a user may own more records than the commit of their removal deletes."""
        return self.owner not in (None, "_id")


# Unique indexes are checked in this order, so a taken email is reported before a username.
USERS: Final = Collection(
    "users",
    [
        _BY_ID,
        IndexModel("email_key", unique=True, sparse=True, collation=_SIMPLE),
        IndexModel("username_key", unique=True, sparse=True, collation=_SIMPLE),
        IndexModel("name_key", collation=_SIMPLE),
        IndexModel(["role", "_id"], partialFilterExpression=ACTIVE_ADMINS, collation=_SIMPLE),
        IndexModel(PURGING, sparse=True, collation=_SIMPLE),
    ],
    {"email_key": EmailTaken, "username_key": UsernameTaken, "_id": IdTaken},
)


def guard_id(user_id: str) -> Document:
    """Return the id of the document that signals the owner's removal to writers."""
    return {"removed-owner": user_id}


def path_of(record_type: RecordType[Any], field: str) -> str:
    """Return the path of a field in documents."""
    return "_id" if field == record_type.key else field


def collection_of(record_type: RecordType[Any]) -> Collection:
    """Return the collection of a record type, with the indexes that its declaration requires."""
    unique = {path_of(record_type, field): error for field, error in record_type.unique.items()}
    owner = None if record_type.owner is None else path_of(record_type, record_type.owner)
    indexes = [_BY_ID]
    indexes += (IndexModel(path, unique=True, sparse=True, collation=_SIMPLE) for path in unique if path != "_id")
    if owner not in (None, "_id"):
        indexes.append(IndexModel([owner, "_id"], collation=_SIMPLE))
    if record_type.due is not None:
        is_due_once = {record_type.due: {"$exists": True}}
        indexes.append(IndexModel([record_type.due, "_id"], partialFilterExpression=is_due_once, collation=_SIMPLE))
    return Collection(record_type.name, indexes, unique | {"_id": IdTaken}, owner)


async def version(database: Database, read_concern: ReadConcern | None = None) -> int:
    """Return the version of the existing schema; 0 if there is none."""
    found = await database.get_collection(_VERSIONS, read_concern=read_concern).find_one({"_id": "version"})
    return 0 if found is None else int(found["version"])


async def has_indexes(database: Database, collections: Sequence[Collection]) -> bool:
    """Return whether all collections and indexes exist; without them nothing would be unique."""
    for collection in collections:
        found = await database[collection.name].index_information()
        if not {index.document["name"] for index in collection.indexes} <= found.keys():
            return False
    return True


async def prepare(database: Database, collections: Sequence[Collection]) -> None:
    """Create what is missing. The version comes last, because it says that everything else exists."""
    for collection in collections:
        await database[collection.name].create_indexes(list(collection.indexes))
        if collection.may_hide_records:
            marker: Document = {"$setOnInsert": {REMOVED_OWNERS: []}}
            await database[collection.name].update_one({"_id": MARKER_ID}, marker, upsert=True)
    await database[_VERSIONS].update_one({"_id": "version"}, {"$max": {"version": VERSION}}, upsert=True)
