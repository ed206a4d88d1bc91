from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from itertools import groupby
from typing import Final, TypeAlias

from pymongo import DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.errors import BulkWriteError

from adapters.mongodb.database import Transaction
from adapters.mongodb.documents import Document
from adapters.mongodb.removals import count_owned, remove_owned
from adapters.mongodb.schema import PURGING, USERS, Collection, Filter, guard_id
from domain.errors import StaleVersion, UserNotFound

Operation: TypeAlias = InsertOne[Document] | ReplaceOne[Document] | DeleteOne | UpdateOne

_DUPLICATE_KEY: Final = 11000

# Updating the user document makes a concurrent change or removal of it conflict with this commit; reading it would not.
# No entity has a field of this name.
_TOUCH: Final[Filter] = {"$inc": {"times-touched": 1}}


class Kind(Enum):
    ADD = auto()
    SAVE = auto()
    REMOVE = auto()
    REQUIRE = auto()


@dataclass(frozen=True, slots=True)
class Write:
    """One staged write of a user or a record."""

    kind: Kind
    collection: Collection
    key: str
    version: int
    """The version of the given document, otherwise the required stored version."""

    document: Document | None = field(default=None, repr=False)  # it may hold a password hash
    owner: str | None = None

    saves: int = 1
    """How many saves of the record this one replaces."""

    @property
    def changes_one_document(self) -> bool:
        """Whether MongoDB applies the write atomically without a transaction."""
        if self.kind is Kind.ADD:
            return self.owner is None
        return self.kind is not Kind.REMOVE or self.collection is not USERS

    @property
    def operation(self) -> Operation:
        document = self.document or {}
        match self.kind:
            case Kind.ADD:
                return InsertOne(document)
            case Kind.SAVE:
                return ReplaceOne({"_id": self.key, "version": self.version - self.saves}, document)
            case Kind.REMOVE:
                return DeleteOne({"_id": self.key, "version": self.version})
            case Kind.REQUIRE:
                return UpdateOne({"_id": self.key, "version": self.version}, _TOUCH)

    @property
    def guards(self) -> Sequence[Operation]:
        """Return operations that fail, and so prevent the write, if the owner has been removed.

        A match alone is no error, so the operation tries to convert the guard's id to a number. It has the type of the
        write, so that both are one command.
        """
        if self.owner is None or not self.collection.may_hide_records:
            return []
        guard = {"_id": guard_id(self.owner)}
        if self.kind is Kind.REMOVE:
            return [DeleteOne({**guard, "$expr": {"$toInt": "$_id"}})]
        return [UpdateOne(guard, {"$inc": {"_id": 1}})]

    def replaces(self, other: "Write") -> bool:
        """Return whether this save makes the other one, staged directly before it, redundant."""
        if not self.kind is other.kind is Kind.SAVE or self.document is None or other.document is None:
            return False
        # A duplicate value is an error, even if the next state has another one.
        return (
            self.collection is other.collection
            and self.version == other.version + 1
            and all(self.document.get(path) == other.document.get(path) for path in self.collection.unique)
        )


class StagedWrites:
    """The writes of a unit of work."""

    def __init__(self) -> None:
        self._writes: list[Write] = []

    def append(self, write: Write) -> None:
        """Stage a write, which may replace the previous one."""
        if self._writes and write.replaces(self._writes[-1]):
            write = replace(write, saves=self._writes.pop().saves + 1)
        self._writes.append(write)

    def take(self) -> Sequence[Write]:
        """Return all writes and clear the list."""
        writes, self._writes = self._writes, []
        return writes


class Commit:
    """Applies writes as if one by one, but in as few commands as possible."""

    def __init__(self, writes: Sequence[Write], owned: Sequence[Collection], *, one_by_one: bool = False) -> None:
        """`owned` are the collections with records of users."""
        self._runs: Final = [[write] for write in writes] if one_by_one else list(_runs(writes))
        self._owned: Final = owned
        self.changes_one_document: Final = len(writes) == 1 and writes[0].changes_one_document
        self.has_hidden_records = False

    @property
    def may_mix_up_errors(self) -> bool:
        """Whether the reported error may belong to another write than the first erroneous one."""
        return any(len(run) > 1 and any(write.document for write in run) for run in self._runs)

    async def __call__(self, transaction: Transaction) -> None:
        if self.changes_one_document:
            ((write,),) = self._runs
            await _apply(transaction, write.collection, [write.operation], write.guards)
            return
        touched: set[str] = set()
        for run in self._runs:
            for collection, group in groupby(run, key=lambda write: write.collection):
                writes = list(group)
                if collection is USERS:
                    removed = await self._apply_to_users(transaction, writes)
                    touched = (touched | {write.key for write in writes}) - removed
                else:
                    await _apply(transaction, collection, [write.operation for write in writes])
            untouched = {write.owner for write in run if write.owner is not None} - touched
            if untouched and not await _touch_users(transaction, untouched):
                raise UserNotFound if run[0].kind is Kind.ADD else StaleVersion
            touched |= untouched

    async def _apply_to_users(self, transaction: Transaction, writes: Sequence[Write]) -> AbstractSet[str]:
        """Apply writes of users; return the ids of those they remove."""
        removed = [write.key for write in writes if write.kind is Kind.REMOVE]
        counts = await count_owned(transaction, removed, self._owned) if removed else []
        await _apply(transaction, USERS, [write.operation for write in writes])
        for count in counts:
            self.has_hidden_records |= await remove_owned(transaction, count, self._owned)
        return set(removed)


async def _apply(
    transaction: Transaction, collection: Collection, operations: Sequence[Operation], guards: Sequence[Operation] = ()
) -> None:
    documents = transaction.collection(collection.name)
    try:
        result = await documents.bulk_write([*guards, *operations], session=transaction.session)
    except BulkWriteError as error:
        (failed,) = error.details["writeErrors"] or [{}]
        if failed.get("code") == _DUPLICATE_KEY:
            (path,) = failed["keyPattern"]
            raise collection.unique[path] from None
        if failed and failed["index"] < len(guards):
            raise StaleVersion from None
        raise
    if result.inserted_count + result.matched_count + result.deleted_count != len(operations):
        raise StaleVersion


async def _touch_users(transaction: Transaction, user_ids: AbstractSet[str]) -> bool:
    """Make concurrent removals of these users conflict with this commit; return whether all exist."""
    there = {"_id": {"$in": list(user_ids)}, PURGING: None}
    result = await transaction.collection(USERS.name).update_many(there, _TOUCH, session=transaction.session)
    return result.matched_count == len(user_ids)


def _runs(writes: Sequence[Write]) -> Iterator[Sequence[Write]]:
    """Group writes that can be applied together: additions, users first, or other writes to one collection."""
    run: list[Write] = []
    owners: set[str | None] = set()
    for write in writes:
        is_addition = write.kind is Kind.ADD
        if run and (
            (write.collection is USERS and write.key in owners)  # an owner must be added before their records
            if is_addition and run[0].kind is Kind.ADD
            else (is_addition or run[0].kind is Kind.ADD or write.collection is not run[0].collection)
        ):
            yield _in_order(run)
            run, owners = [], set()
        run.append(write)
        owners.add(write.owner)
    if run:
        yield _in_order(run)


def _in_order(run: Sequence[Write]) -> Sequence[Write]:
    return sorted(run, key=lambda write: "" if write.collection is USERS else write.collection.name)
