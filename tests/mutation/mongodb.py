"""Mistakes in the MongoDB adapter."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.mutation.bug import Bug

_address = partial(Bug, file="adapters/mongodb/address.py", store="mongodb")
_database = partial(Bug, file="adapters/mongodb/database.py", store="mongodb")
_documents = partial(Bug, file="adapters/mongodb/documents.py", store="mongodb")
_failures = partial(Bug, file="adapters/mongodb/failures.py", store="mongodb")
_records = partial(Bug, file="adapters/mongodb/records.py", store="mongodb")
_removals = partial(Bug, file="adapters/mongodb/removals.py", store="mongodb")
_schema = partial(Bug, file="adapters/mongodb/schema.py", store="mongodb")
_staged = partial(Bug, file="adapters/mongodb/staged_writes.py", store="mongodb")
_users = partial(Bug, file="adapters/mongodb/users.py", store="mongodb")

BUGS: Final[Sequence[Bug]] = (
    _staged(
        what="a save ignores the version",
        old='ReplaceOne({"_id": self.key, "version": self.version - self.saves}',
        new='ReplaceOne({"_id": self.key}',
    ),
    _staged(
        what="of several saves of a record the last one alone is compared",
        old="saves=self._writes.pop().saves + 1)",
        new="saves=self._writes.pop().saves)",
    ),
    _staged(
        what="a save follows one of another version",
        old="            and self.version == other.version + 1\n",
        new="",
    ),
    _staged(
        what="a removal ignores the version",
        old='DeleteOne({"_id": self.key, "version": self.version})',
        new='DeleteOne({"_id": self.key})',
    ),
    _staged(
        what="a requirement is looked at and not touched",
        old='UpdateOne({"_id": self.key, "version": self.version}, _TOUCH)',
        new='UpdateOne({"_id": self.key, "version": self.version}, {"$setOnInsert": {"times-touched": 1}})',
    ),
    _staged(
        what="something is required at whatever version",
        old='UpdateOne({"_id": self.key, "version": self.version}, _TOUCH)',
        new='UpdateOne({"_id": self.key}, _TOUCH)',
    ),
    _staged(
        what="a requirement changes the version",
        old='{"$inc": {"times-touched": 1}}',
        new='{"$inc": {"version": 1}}',
    ),
    _staged(
        what="a write that met no record is fine",
        old="result.deleted_count != len(operations):",
        new="result.deleted_count > len(operations):",
    ),
    _staged(
        what="the owner of a record is looked for and not touched",
        old="update_many(there, _TOUCH",
        new='update_many(there, {"$setOnInsert": {"times-touched": 1}}',
    ),
    _staged(
        what="nobody looks for the owner of a record",
        old="            if untouched and not await",
        new="            if not untouched and not await",
    ),
    _staged(
        what="an added record needs no transaction for its owner",
        old="return self.owner is None\n",
        new="return True\n",
    ),
    _staged(
        what="an owner who is added after what they own is good enough",
        old="(write.collection is USERS and write.key in owners)",
        new='(write.collection is USERS and write.key == "")',
    ),
    _staged(
        what="writes to two collections go together",
        old="or write.collection is not run[0].collection)",
        new=")",
    ),
    _staged(
        what="additions join those from before a removal",
        old="else (is_addition or run[0].kind is Kind.ADD or",
        new="else (run[0].kind is Kind.ADD or",
    ),
    _staged(
        what="a write is made outside of the transaction",
        old="[*guards, *operations], session=transaction.session",
        new="[*guards, *operations]",
    ),
    _staged(
        what="a failed commit stays staged",
        old="writes, self._writes = self._writes, []",
        new="writes = self._writes",
    ),
    _removals(
        what="records outlive their owner",
        old="await documents.delete_many(",
        new="await documents.count_documents(",
    ),
    _removals(
        what="a removal deletes no more records than one",
        old="await documents.delete_many(",
        new="await documents.delete_one(",
    ),
    _removals(
        what="what the commit hides is told to nobody",
        old="await documents.update_one(",
        new="await documents.count_documents(",
    ),
    _removals(
        what="what is hidden is never deleted",
        old="            if await self._delete_some(name, owner, user_id):\n                return True\n",
        new="            pass\n",
    ),
    _records(
        what="a record of a removed user is found by its key",
        old="if document.get(owner) not in removed_owners",
        new="if True",
    ),
    _records(
        what="the records of a removed user are listed",
        old="return [] if owner in removed_owners else found",
        new="return found",
    ),
    _records(
        what="a page of all records has those of removed users",
        old="if self._removed_owners == excluded:",
        new="if True:",
    ),
    _records(
        what="a page of records begins with the one that it comes after",
        old='"$lt" if descending and after else "$gt"',
        new='"$lte" if descending and after else "$gte"',
    ),
    _records(
        what="records are due later than they say",
        old='{path: {"$lte": moment}}',
        new='{path: {"$lt": moment}}',
    ),
    _records(
        what="what is due comes in any order",
        old='index = {path: 1, "_id": 1}',
        new='index = {path: -1, "_id": -1}',
    ),
    _records(
        what="all that is due is read, however little was asked for",
        old='{"$sort": index}, limit=limit',
        new='{"$sort": index}, limit=10_000',
    ),
    _failures(
        what="what was in conflict is not repeated",
        old='return error.has_error_label("TransientTransactionError") and not gone and not may_have_committed(error)',
        new="return False",
    ),
    _database(
        what="a large page is read of several moments",
        old='_SNAPSHOT: Final = ReadConcern("snapshot")',
        new='_SNAPSHOT: Final = ReadConcern("local")',
        allowed="with one member, and the few records of the cases, nothing comes between two steps of a read",
    ),
    _database(
        what="a cancelled caller takes the transaction along",
        old="await asyncio.shield(self._start(self._write(work, one_document)))",
        new="await self._write(work, one_document)",
        allowed="the driver ends it as well as it can; only a server that is slow would show the difference",
    ),
    _database(
        what="a failed transaction is committed as far as it went",
        old="                await work(Transaction(self._database, session))\n                await",
        new=(
            "                try:\n"
            "                    await work(Transaction(self._database, session))\n"
            "                except Exception:\n"
            "                    await session.commit_transaction()\n"
            "                    raise\n"
            "                await"
        ),
    ),
    _database(
        what="an unprepared place is as good as an empty one",
        old="        if not self._prepared:\n            raise StorageNotPrepared",
        new="        if not self._prepared:\n            return",
    ),
    _database(
        what="the driver's own errors get out",
        old="        except PyMongoError as error:\n            # Without",
        new="        except ZeroDivisionError as error:\n            # Without",
    ),
    _users(
        what="a page of users begins with the one that it comes after",
        old='"$lt" if descending else "$gt"',
        new='"$lte" if descending else "$gte"',
    ),
    _users(
        what="a search leaves out usernames",
        old='("name_key", "email_key", "username_key")',
        new='("name_key", "email_key")',
    ),
    _users(
        what="a search is by a pattern that nobody escapes",
        old='{"$or": [{key: bounds} for key in _SEARCHED]}',
        new='{"$or": [{key: {"$regex": f"^{prefix}"}} for key in _SEARCHED]}',
    ),
    _documents(
        what="an empty bio comes back as none",
        old='Bio(document["bio"]) if "bio" in document else None',
        new='Bio(document["bio"]) if document.get("bio") else None',
    ),
    _documents(
        what="versions come back in the driver's own type",
        old='version=int(document["version"])',
        new='version=document["version"]',
    ),
    _documents(
        what="nobody's username is a username, too",
        old="    if user.username is not None:\n",
        new='    document["username_key"] = None\n    if user.username is not None:\n',
    ),
    _documents(
        what="a unique field that is None is a value, too",
        old=" for name, value in plain.items() if value is not None}",
        new=" for name, value in plain.items()}",
    ),
    _schema(
        what="an admin who is not active is an active admin",
        old='{"role": Role.ADMIN.value, "active": True}',
        new='{"role": Role.ADMIN.value}',
    ),
    _schema(
        what="emails are not unique",
        old='IndexModel("email_key", unique=True, sparse=True, collation=_SIMPLE)',
        new='IndexModel("email_key", collation=_SIMPLE)',
    ),
    _schema(
        what="emails are unique in the judgement of a language",
        old='IndexModel("email_key", unique=True, sparse=True, collation=_SIMPLE)',
        new='IndexModel("email_key", unique=True, sparse=True, collation={"locale": "en", "strength": 1})',
    ),
    _schema(
        what="unique fields of records are not unique",
        old="IndexModel(path, unique=True, sparse=True, collation=_SIMPLE)",
        new="IndexModel(path, sparse=True, collation=_SIMPLE)",
    ),
    _schema(
        what="a taken username is called a taken email",
        old='"username_key": UsernameTaken, "_id"',
        new='"username_key": EmailTaken, "_id"',
    ),
    _address(what="times come back without a zone", old='"tz_aware": True,\n    "tzinfo": UTC,\n', new=""),
)
