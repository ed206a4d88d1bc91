"""Collections, indexes, and the version of both, which a document of its own keeps."""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from pymongo import IndexModel
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure

from adapters.mongodb.documents import Document
from domain.user import Role

Database: TypeAlias = AsyncDatabase[Document]

USERS: Final = "users"
POSTS: Final = "posts"
CREDENTIALS: Final = "credentials"
SESSIONS: Final = "sessions"
SIGN_IN_FAILURES: Final = "sign_in_failures"

ACTIVE_ADMINS: Final[Mapping[str, Any]] = {"role": Role.ADMIN.value, "active": True}

VERSION: Final = 2  # 1 had neither sessions, nor failures, nor an index of the admins
_SCHEMA: Final = "schema"
_NAMESPACE_EXISTS: Final = 48
_SIMPLE: Final = {"locale": "simple"}  # byte by byte, whatever the collection is set to

# Keys are unique in this order, so an email that is taken is told before a username is.
_INDEXES: Final[Mapping[str, list[IndexModel]]] = {
    USERS: [
        IndexModel("email_key", unique=True, collation=_SIMPLE),
        IndexModel("username_key", unique=True, sparse=True, collation=_SIMPLE),
        IndexModel("name_key", collation=_SIMPLE),
        IndexModel(["role", "_id"], partialFilterExpression=ACTIVE_ADMINS, collation=_SIMPLE),
    ],
    POSTS: [IndexModel(["author_id", "_id"], collation=_SIMPLE)],
    CREDENTIALS: [],
    SESSIONS: [IndexModel(["user_id", "_id"], collation=_SIMPLE)],
    SIGN_IN_FAILURES: [IndexModel("expires_at", collation=_SIMPLE)],
}


async def version(database: Database) -> int:
    """Read the version of the schema that is there; 0 for none."""
    found = await database[_SCHEMA].find_one({"_id": "version"})
    return 0 if found is None else int(found["version"])


async def has_indexes(database: Database) -> bool:
    """Tell whether all indexes are there, without which nothing would be unique."""
    for collection, indexes in _INDEXES.items():
        found = await database[collection].index_information()
        if not {index.document["name"] for index in indexes} <= found.keys():
            return False
    return True


async def prepare(database: Database) -> None:
    """Create what is missing; the version comes last, since it says that all the rest is there."""
    for collection, indexes in _INDEXES.items():
        try:
            await database.create_collection(collection, check_exists=False)
        except OperationFailure as error:
            if error.code != _NAMESPACE_EXISTS:
                raise
        if indexes:
            await database[collection].create_indexes(indexes)
    await database[_SCHEMA].update_one({"_id": "version"}, {"$max": {"version": VERSION}}, upsert=True)
