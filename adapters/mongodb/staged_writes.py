from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from pymongo import DeleteOne, ReplaceOne

from adapters.mongodb.database import Filter, Transaction
from adapters.mongodb.documents import Document
from adapters.mongodb.schema import CREDENTIALS, POSTS, SESSIONS, SIGN_IN_FAILURES, USERS
from domain.errors import StaleVersion, UserNotFound

# A record that is changed only so that whoever changes or removes it at the same time is in conflict with this commit:
# to have read it would not do.
_TOUCH: Final[Mapping[str, Any]] = {"$inc": {"touched": 1}}


class Additions:
    """Records that are added one after another, and go together: users first, then what may be theirs."""

    def __init__(self) -> None:
        self._records: list[tuple[str, Document, str | None]] = []
        self._added: set[str] = set()
        self._owners: set[str] = set()

    @property
    def may_mix_up_errors(self) -> bool:
        """Whether the first error that is met need not be that of the first record that is in error."""
        collections = {collection for collection, _, _ in self._records}
        return len(self._records) > 1 and (len(collections) > 1 or bool(self._owners))

    @property
    def changes_one_document(self) -> bool:
        return len(self._records) == 1 and not self._owners

    def take(self, collection: str, document: Document, owner: str | None = None) -> bool:
        """Take a record in; refuse a user whom an earlier record needed to be there already."""
        if collection == USERS and document["_id"] in self._owners:
            return False
        self._records.append((collection, document, owner))
        if collection == USERS:
            self._added.add(document["_id"])
        elif owner is not None and owner not in self._added:
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
        for collection in (USERS, POSTS, SESSIONS, SIGN_IN_FAILURES):
            documents = self._documents(collection)
            if documents:
                await transaction.collection(collection).insert_many(documents, session=session)
        puts = [
            ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in self._documents(CREDENTIALS)
        ]
        if puts:
            await transaction.collection(CREDENTIALS).bulk_write(puts, session=session)
        if self._owners:
            owners = {"_id": {"$in": list(self._owners)}}
            change = await transaction.collection(USERS).update_many(owners, _TOUCH, session=session)
            if change.matched_count != len(self._owners):
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


class Removals:
    """The end of records of one collection that are removed one after another, and of what belongs to them."""

    def __init__(self, collection: str) -> None:
        self.collection = collection
        self._versions: list[tuple[str, int]] = []

    @property
    def changes_one_document(self) -> bool:
        return len(self._versions) == 1 and self.collection != USERS

    def take(self, record_id: str, version: int) -> None:
        self._versions.append((record_id, version))

    async def __call__(self, transaction: Transaction) -> None:
        session = transaction.session
        ends = [DeleteOne({"_id": record_id, "version": version}) for record_id, version in self._versions]
        if (await transaction.collection(self.collection).bulk_write(ends, session=session)).deleted_count != len(ends):
            raise StaleVersion
        if self.collection == USERS:
            gone = {"$in": [record_id for record_id, _ in self._versions]}
            theirs = {POSTS: {"author_id": gone}, CREDENTIALS: {"_id": gone}, SESSIONS: {"user_id": gone}}
            for name, found in theirs.items():
                await transaction.collection(name).delete_many(found, session=session)


@dataclass(frozen=True, slots=True)
class Requirement:
    """A record that has to be as it was when it was read."""

    collection: str
    before: Filter = field(repr=False)  # it may hold a password hash

    @property
    def changes_one_document(self) -> bool:
        return True

    async def __call__(self, transaction: Transaction) -> None:
        records = transaction.collection(self.collection)
        if (await records.update_one(self.before, _TOUCH, session=transaction.session)).matched_count != 1:
            raise StaleVersion


Write: TypeAlias = Additions | Save | Removals | Requirement


class StagedWrites:
    """What a unit of work will do at its commit."""

    def __init__(self) -> None:
        self._writes: list[Write] = []

    def add(self, collection: str, document: Document, owner: str | None = None) -> None:
        """Stage a record that may need its owner, a user, to be there."""
        last = self._writes[-1] if self._writes else None
        if not isinstance(last, Additions) or not last.take(collection, document, owner):
            additions = Additions()
            additions.take(collection, document, owner)
            self._writes.append(additions)

    def save(self, collection: str, document: Document) -> None:
        self._writes.append(Save(collection, document))

    def remove(self, collection: str, record_id: str, version: int) -> None:
        last = self._writes[-1] if self._writes else None
        if not isinstance(last, Removals) or last.collection != collection:
            last = Removals(collection)
            self._writes.append(last)
        last.take(record_id, version)

    def require(self, collection: str, before: Filter) -> None:
        self._writes.append(Requirement(collection, before))

    def take(self) -> Sequence[Write]:
        """Give out all of it and be empty."""
        writes, self._writes = self._writes, []
        return writes


def apart(writes: Sequence[Write]) -> Sequence[Write]:
    """Take the additions apart again, so that each record is a write of its own."""
    return [part for write in writes for part in (write.apart() if isinstance(write, Additions) else [write])]
