"""Bugs in the MongoDB adapter."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.mutation.bug import Bug

_address = partial(Bug, file="adapters/mongodb/address.py", store="mongodb")
_database = partial(Bug, file="adapters/mongodb/database.py", store="mongodb")
_documents = partial(Bug, file="adapters/mongodb/documents.py", store="mongodb")
_failures = partial(Bug, file="adapters/mongodb/failures.py", store="mongodb")
_removals = partial(Bug, file="adapters/mongodb/removals.py", store="mongodb")
_repositories = partial(Bug, file="adapters/mongodb/repositories.py", store="mongodb")
_schema = partial(Bug, file="adapters/mongodb/schema.py", store="mongodb")
_staged = partial(Bug, file="adapters/mongodb/staged_writes.py", store="mongodb")

BUGS: Final[Sequence[Bug]] = (
    _staged(
        what="a save ignores the version",
        where="Write.operation",
        node="Dict 2",
        new='{"_id": self.key}',
    ),
    _staged(
        what="of several saves of a record the last one alone is compared",
        where="StagedWrites.append",
        node="BinOp",
        new="self._writes.pop().saves",
    ),
    _staged(
        what="a save follows one of another version",
        where="Write.replaces",
        node="Compare 5",
        new="True",
    ),
    _staged(
        what="a removal ignores the version",
        where="Write.operation",
        node="Dict 3",
        new='{"_id": self.key}',
    ),
    _staged(
        what="a requirement is looked at and not touched",
        where="Write.operation",
        node="Name 21",
        new='{"$setOnInsert": {"times-touched": 1}}',
    ),
    _staged(
        what="a requirement ignores the version",
        where="Write.operation",
        node="Dict 4",
        new='{"_id": self.key}',
    ),
    _staged(
        what="a requirement changes the version",
        where="_TOUCH",
        node="Constant 2",
        new='"version"',
    ),
    _staged(
        what="a write that met no record is fine",
        where="_apply",
        node="Compare 3",
        new="result.inserted_count + result.matched_count + result.deleted_count > len(operations)",
    ),
    _staged(
        what="the owner of a record is looked for and not touched",
        where="_touch_users.result",
        node="Name 5",
        new='{"$setOnInsert": {"times-touched": 1}}',
    ),
    _staged(
        what="the owner of a record is not checked",
        where="Commit.__call__",
        node="Name 48",
        new="not untouched",
    ),
    _staged(
        what="an added record needs no transaction for its owner",
        where="Write.changes_one_document",
        node="Compare 2",
        new="True",
    ),
    _staged(
        what="an owner who is added after what they own is good enough",
        where="_runs",
        node="Compare 4",
        new='write.key == ""',
    ),
    _staged(
        what="writes to two collections go together",
        where="_runs",
        node="BoolOp 4",
        new="is_addition or run[0].kind is Kind.ADD ",
    ),
    _staged(
        what="additions join those from before a removal",
        where="Commit.__init__",
        node="Name 14",
        new="sorted(writes, key=lambda write: write.kind is not Kind.ADD)",
    ),
    _staged(
        what="a write is made outside of the transaction",
        where="_apply",
        node="Call 2",
        new="documents.bulk_write([*guards, *operations])",
    ),
    _staged(
        what="a failed commit stays staged",
        where="StagedWrites.take",
        node="Assign",
        new="writes = self._writes",
    ),
    _removals(
        what="records outlive their owner",
        where="remove_owned",
        node="Attribute 12",
        new="documents.count_documents",
    ),
    _removals(
        what="a removal deletes no more records than one",
        where="remove_owned",
        node="Attribute 12",
        new="documents.delete_one",
    ),
    _removals(
        what="no reader learns what the commit hides",
        where="remove_owned",
        node="Attribute 6",
        new="documents.count_documents",
    ),
    _removals(
        what="what is hidden is never deleted",
        where="Purge.delete_batch",
        node="If 1",
        new="return False",
    ),
    _repositories(
        what="a record of a removed user is found by its key",
        where="VisibleRecords.get",
        node="Compare",
        new="True",
    ),
    _repositories(
        what="the records of a removed user are counted",
        where="VisibleRecords.count_of_owner",
        node="IfExp",
        new='found[0]["count"] if found else 0',
    ),
    _staged(
        what="a record of a removed user can be written",
        where="Write.guards",
        node="BoolOp",
        new="True",
    ),
    _staged(
        what="a value that is taken for one of several saves is fine",
        where="Write.replaces",
        node="Call 1",
        new="self.key == other.key",
    ),
    _repositories(
        what="the records of a removed user are listed",
        where="VisibleRecords.of_owner",
        node="IfExp",
        new="found",
    ),
    _repositories(
        what="a page of all records has those of removed users",
        where="VisibleRecords.of_all",
        node="Compare",
        new="True",
    ),
    _repositories(
        what="a page of records begins with the one that it comes after",
        where="MongoRecords.page",
        node="IfExp 3",
        new='"$gt" if descending else "$lt"',
    ),
    _repositories(
        what="records are due later than they say",
        where="MongoRecords.due",
        node="Constant 7",
        new='"$lt"',
    ),
    _repositories(
        what="what is due comes in any order",
        where="MongoRecords.due.index",
        node="Dict",
        new='{path: -1, "_id": -1}',
    ),
    _repositories(
        what="all that is due is read, however little was asked for",
        where="MongoRecords.due",
        node="List 2",
        new='[{"$sort": index}]',
    ),
    _failures(
        what="what was in conflict is not repeated",
        where="is_retryable",
        node="BoolOp",
        new="False",
    ),
    _database(
        what="a large page is read of several moments",
        where="_SNAPSHOT",
        node="Constant",
        new='"local"',
        allowed="with one member, and the few records of the cases, nothing comes between two steps of a read",
    ),
    _database(
        what="a cancelled caller takes the transaction along",
        where="Database.write",
        node="Call 1",
        new="self._write(work, one_document)",
        allowed="the driver ends it as well as it can; only a server that is slow would show the difference",
    ),
    _database(
        what="a failed transaction is committed as far as it went",
        where="Database._attempt",
        node="Await 2",
        new="try:\n                    await work(Transaction(self._database, session))\n                except Exception:\n                    await session.commit_transaction()\n                    raise",
    ),
    _database(
        what="an unprepared place is as good as an empty one",
        where="Database.check",
        node="Raise",
        new="return",
    ),
    _database(
        what="the driver's own errors get out",
        where="Database._answer",
        node="Raise 3",
        new="raise",
    ),
    _repositories(
        what="a page of users begins with the one that it comes after",
        where="MongoUserRepository.page",
        node="IfExp",
        new='"$lte" if descending else "$gte"',
    ),
    _repositories(
        what="a search leaves out usernames",
        where="_SEARCHED",
        node="Tuple",
        new='("name_key", "email_key")',
    ),
    _repositories(
        what="a search uses an unescaped pattern",
        where="_starting_with",
        node="Name 13",
        new='{"$regex": f"^{prefix}"}',
    ),
    _documents(
        what="versions come back in the driver's own type",
        where="user_from_document",
        node="Call 1",
        new='document["version"]',
    ),
    _documents(
        what="a missing username is stored as a username",
        where="user_document",
        node="DictComp",
        new='{name: value for name, value in values.items() if value is not None or name == "username_key"}',
    ),
    _documents(
        what="a unique field that is None is a value, too",
        where="record_document",
        node="DictComp",
        new="plain",
    ),
    _schema(
        what="an admin who is not active is an active admin",
        where="ACTIVE_ADMINS",
        node="Dict",
        new='{"role": Role.ADMIN.value}',
    ),
    _schema(
        what="emails are not unique",
        where="USERS",
        node="Call 2",
        new='IndexModel("email_key", collation=_SIMPLE)',
    ),
    _schema(
        what="emails are unique in the judgement of a language",
        where="USERS",
        node="Name 6",
        new='{"locale": "en", "strength": 1}',
    ),
    _schema(
        what="unique fields of records are not unique",
        where="collection_of",
        node="Call 4",
        new="IndexModel(path, sparse=True, collation=_SIMPLE)",
    ),
    _schema(
        what="a taken username is called a taken email",
        where="USERS",
        node="Name 18",
        new="EmailTaken",
    ),
    _address(
        what="times come back without a zone",
        where="_SETTINGS",
        node="Dict",
        new='{\n        "maxPoolSize": MAX_CONNECTIONS,\n    "connectTimeoutMS": 3_000,  # also how long the driver\'s monitors wait for a server that hangs\n}',
    ),
)
