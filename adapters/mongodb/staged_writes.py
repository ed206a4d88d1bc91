from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pymongo import ReplaceOne

from adapters.mongodb.database import Transaction
from adapters.mongodb.documents import Document
from adapters.mongodb.schema import CREDENTIALS, POSTS, USERS
from domain.errors import StaleVersion, UserNotFound


class Additions:
    """Records that are added one after another, and go together: users first, then what is theirs."""

    def __init__(self) -> None:
        self._records: list[tuple[str, Document, str | None]] = []
        self._added: set[str] = set()
        self._owners: set[str] = set()

    @property
    def may_mix_up_errors(self) -> bool:
        """Whether the first error that is met need not be that of the first record that is in error."""
        return len(self._records) > 1 and len(self._added) < len(self._records)

    @property
    def changes_one_document(self) -> bool:
        return len(self._records) == 1 and not self._owners

    def take(self, collection: str, document: Document, owner: str | None = None) -> bool:
        """Take a record in; refuse a user whom an earlier record needed to be there already."""
        if owner is None and document["_id"] in self._owners:
            return False
        self._records.append((collection, document, owner))
        if owner is None:
            self._added.add(document["_id"])
        elif owner not in self._added:
            self._owners.add(owner)
        return True

    def apart(self) -> Sequence["Additions"]:
        """Make as many of one record each, in the order in which they were staged."""
        parts = []
        for record in self._records:
            part = Additions()
            part.take(*record)
            parts.append(part)
        return parts

    async def __call__(self, transaction: Transaction) -> None:
        session = transaction.session
        for collection in (USERS, POSTS):
            documents = self._documents(collection)
            if documents:
                await transaction.collection(collection).insert_many(documents, session=session)
        puts = [
            ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in self._documents(CREDENTIALS)
        ]
        if puts:
            await transaction.collection(CREDENTIALS).bulk_write(puts, session=session)
        if self._owners:
            # It is changed only so that whoever removes the user at the same time is in conflict with this commit.
            change = transaction.collection(USERS).update_many(
                {"_id": {"$in": list(self._owners)}}, {"$inc": {"touched": 1}}, session=session
            )
            if (await change).matched_count != len(self._owners):
                raise UserNotFound

    def _documents(self, collection: str) -> list[Document]:
        return [document for name, document, _ in self._records if name == collection]


@dataclass(frozen=True, slots=True)
class Save:
    """The next state of a record, in place of the one before."""

    collection: str
    document: Document

    @property
    def changes_one_document(self) -> bool:
        return True

    async def __call__(self, transaction: Transaction) -> None:
        before = {"_id": self.document["_id"], "version": self.document["version"] - 1}
        records = transaction.collection(self.collection)
        if (await records.replace_one(before, self.document, session=transaction.session)).matched_count != 1:
            raise StaleVersion


@dataclass(frozen=True, slots=True)
class Removal:
    """The end of a record, and of what belongs to it."""

    collection: str
    record_id: str
    version: int

    @property
    def changes_one_document(self) -> bool:
        return self.collection != USERS

    async def __call__(self, transaction: Transaction) -> None:
        before = {"_id": self.record_id, "version": self.version}
        records = transaction.collection(self.collection)
        if (await records.delete_one(before, session=transaction.session)).deleted_count != 1:
            raise StaleVersion
        if self.collection == USERS:
            theirs = {POSTS: {"author_id": self.record_id}, CREDENTIALS: {"_id": self.record_id}}
            for name, found in theirs.items():
                await transaction.collection(name).delete_many(found, session=transaction.session)


Write: TypeAlias = Additions | Save | Removal


class StagedWrites:
    """What a unit of work will do at its commit."""

    def __init__(self) -> None:
        self._writes: list[Write] = []

    def add(self, collection: str, document: Document, owner: str | None = None) -> None:
        """Stage a record that may need its owner to be there; without an owner it is a user itself."""
        last = self._writes[-1] if self._writes else None
        if not isinstance(last, Additions) or not last.take(collection, document, owner):
            additions = Additions()
            additions.take(collection, document, owner)
            self._writes.append(additions)

    def save(self, collection: str, document: Document) -> None:
        self._writes.append(Save(collection, document))

    def remove(self, collection: str, record_id: str, version: int) -> None:
        self._writes.append(Removal(collection, record_id, version))

    def take(self) -> Sequence[Write]:
        """Give out all of it and be empty."""
        writes, self._writes = self._writes, []
        return writes


def apart(writes: Sequence[Write]) -> Sequence[Write]:
    """Take the additions apart again, so that each record is a write of its own."""
    return [part for write in writes for part in (write.apart() if isinstance(write, Additions) else [write])]
