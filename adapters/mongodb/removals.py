"""Remove a user's records: a few within the commit, any number in the background.

Many records are only hidden by the commit. A tombstone replaces the user; it keeps the id taken and lists the
collections to purge. In each of these, the marker names the user to readers of the collection. Guards stop writers, and
show readers of the user's records that there are none. After the purge, these are deleted, and finally the tombstone.
"""

from collections.abc import Collection as AbstractCollection
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

from pymongo import ReturnDocument

from adapters.mongodb.database import Database, Transaction
from adapters.mongodb.documents import Document
from adapters.mongodb.schema import MARKER_ID, PURGING, REMOVED_OWNERS, USERS, Collection, guard_id
from domain.errors import TooBusy

_MAX_DELETED_BY_COMMIT: Final = 1_000  # of each type
_BATCH: Final = 1_000
_LEASE_MILLISECONDS: Final = timedelta(seconds=10) // timedelta(milliseconds=1)


async def count_owned(
    transaction: Transaction, user_ids: Sequence[str], owned: Sequence[Collection]
) -> Sequence[Document]:
    """Count the records of existing users in one command, only as far as `remove_owned` needs."""
    counting = [{"$limit": _MAX_DELETED_BY_COMMIT + 1}, {"$count": "records"}]
    lookups: list[Document] = [
        {
            "$lookup": {
                "from": collection.name,
                "localField": "_id",
                "foreignField": collection.owner,
                "pipeline": counting,
                "as": collection.name,
            }
        }
        for collection in owned
    ]
    pipeline: list[Document] = [{"$match": {"_id": {"$in": user_ids}}}, {"$project": {"_id": True}}, *lookups]
    cursor = await transaction.collection(USERS.name).aggregate(pipeline, session=transaction.session)
    return await cursor.to_list()


async def remove_owned(transaction: Transaction, counts: Document, owned: Sequence[Collection]) -> bool:
    """Delete the records of a removed user, or hide those of a type with too many; return whether any are hidden.

    None can be added concurrently: that touches the user, and so conflicts with the removal.
    """
    user_id, purging = counts["_id"], {}
    for collection in owned:
        documents = transaction.collection(collection.name)
        number = sum(count["records"] for count in counts[collection.name])
        if number > _MAX_DELETED_BY_COMMIT:
            purging[collection.name] = collection.owner
            change = {"$push": {REMOVED_OWNERS: user_id}}
            await documents.update_one({"_id": MARKER_ID}, change, upsert=True, session=transaction.session)
            ids = guard_id(user_id), uuid4().int % 2**63
            guards = [{"_id": guard, str(collection.owner): user_id} for guard in ids]
            await documents.insert_many(guards, session=transaction.session)
        elif number:
            await documents.delete_many({str(collection.owner): user_id}, session=transaction.session)
    if purging:
        tombstone = {"_id": user_id, PURGING: purging}
        await transaction.collection(USERS.name).insert_one(tombstone, session=transaction.session)
    return bool(purging)


class Purge:
    """Deletes hidden records. One process at a time works on a user, while it renews its lease."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._id = uuid4().hex
        self._deleted_up_to: dict[tuple[str, str], str] = {}

    async def delete_batch(self) -> bool:
        """Delete some records; return whether there may be more. Raise `TooBusy` while another process purges."""
        tombstone = await self._database.run(self._lease)
        if tombstone is None:
            if await self._database.run(lambda database: database[USERS.name].find_one({PURGING: {"$exists": True}})):
                raise TooBusy
            return False
        user_id = tombstone["_id"]
        for name, owner in tombstone[PURGING].items():
            if await self._delete_some(name, owner, user_id):
                return True
        await self._close(user_id, tombstone[PURGING])
        self._deleted_up_to.clear()
        return True

    async def includes(self, user_ids: AbstractCollection[str]) -> bool:
        """Return whether records of any of these users are still to be deleted."""
        where = {"_id": {"$in": list(user_ids)}, PURGING: {"$exists": True}}
        return await self._database.run(lambda database: database[USERS.name].find_one(where)) is not None

    async def _lease(self, database: Any) -> Document | None:
        # Only the server's clock counts.
        is_free = {"$or": [{"lease.holder": self._id}, {"$expr": {"$lte": ["$lease.ends_at", "$$NOW"]}}]}
        lease = {"holder": self._id, "ends_at": {"$add": ["$$NOW", _LEASE_MILLISECONDS]}}
        found: Document | None = await database[USERS.name].find_one_and_update(
            {PURGING: {"$exists": True}, **is_free}, [{"$set": {"lease": lease}}], return_document=ReturnDocument.AFTER
        )
        return found

    async def _delete_some(self, name: str, owner: str, user_id: str) -> bool:
        # Continue behind deleted records: for minutes, the server keeps their index entries and scans them.
        after = self._deleted_up_to.get((name, user_id), "")

        async def delete(database: Any) -> Sequence[str]:
            where = {owner: user_id, "_id": {"$gt": after}}
            found = database[name].find(where, {"_id": True}, sort=[("_id", 1)], limit=_BATCH, batch_size=_BATCH)
            keys = [document["_id"] async for document in found]
            await database[name].delete_many({"_id": {"$in": keys}, owner: user_id})
            return keys

        keys = await self._database.run(delete)
        if keys:
            self._deleted_up_to[name, user_id] = keys[-1]
        return bool(keys)

    async def _close(self, user_id: str, purging: Document) -> None:
        async def close(database: Any) -> None:
            for name, owner in purging.items():
                await database[name].delete_many({owner: user_id})  # the guards
                await database[name].update_one({"_id": MARKER_ID}, {"$pull": {REMOVED_OWNERS: user_id}})
            await database[USERS.name].delete_one({"_id": user_id, PURGING: {"$exists": True}})

        await self._database.run(close)
