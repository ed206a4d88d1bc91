"""Mistakes in the MongoDB adapter."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.mutation.bug import Bug

_database = partial(Bug, file="adapters/mongodb/database.py", store="mongodb")
_documents = partial(Bug, file="adapters/mongodb/documents.py", store="mongodb")
_failures = partial(Bug, file="adapters/mongodb/failures.py", store="mongodb")
_repositories = partial(Bug, file="adapters/mongodb/repositories.py", store="mongodb")
_schema = partial(Bug, file="adapters/mongodb/schema.py", store="mongodb")
_staged = partial(Bug, file="adapters/mongodb/staged_writes.py", store="mongodb")
_address = partial(Bug, file="adapters/mongodb/address.py", store="mongodb")

BUGS: Final[Sequence[Bug]] = (
    _staged(
        what="a save ignores the version",
        old='before = {"_id": self.document["_id"], "version": self.document["version"] - 1}',
        new='before = {"_id": self.document["_id"]}',
    ),
    _staged(
        what="a removal ignores the version",
        old='DeleteOne({"_id": record_id, "version": version})',
        new='DeleteOne({"_id": record_id})',
    ),
    _staged(
        what="a save that met no record is fine",
        old=".matched_count != 1:",
        new=".matched_count > 1:",
    ),
    _staged(
        what="the author of a post is looked for and not touched",
        old="update_many(owners, _TOUCH",
        new='update_many(owners, {"$setOnInsert": {"touched": 1}}',
    ),
    _staged(
        what="nobody looks for the author of a post",
        old="        if self._owners:\n            owners",
        new="        if not self._owners:\n            owners",
    ),
    _staged(
        what="an author who is added after their post is good enough",
        old='if collection == USERS and document["_id"] in self._owners:',
        new='if collection == USERS and document["_id"] == "":',
    ),
    _staged(
        what="a second credential is refused",
        old="upsert=True) for document",
        new="upsert=False) for document",
    ),
    _staged(
        what="posts outlive their author",
        old='theirs = {POSTS: {"author_id": gone}, CREDENTIALS',
        new="theirs = {CREDENTIALS",
    ),
    _staged(
        what="sessions outlive their user",
        old=', SESSIONS: {"user_id": gone}}',
        new="}",
    ),
    _staged(
        what="a removal that met no record is fine",
        old=".deleted_count != len(ends):",
        new=".deleted_count > len(ends):",
    ),
    _staged(
        what="removals of two kinds go together",
        old="if not isinstance(last, Removals) or last.collection != collection:",
        new="if not isinstance(last, Removals):",
    ),
    _staged(
        what="a requirement is looked at and not touched",
        old="update_one(self.before, _TOUCH",
        new='update_one(self.before, {"$setOnInsert": {"touched": 1}}',
    ),
    _staged(
        what="a requirement that met no record is fine",
        old="_TOUCH, session=transaction.session)).matched_count != 1:",
        new="_TOUCH, session=transaction.session)).matched_count > 1:",
    ),
    _staged(
        what="a requirement changes the version",
        old='= {"$inc": {"touched": 1}}',
        new='= {"$inc": {"version": 1}}',
    ),
    _staged(
        what="a write is made outside of the transaction",
        old="replace_one(before, self.document, session=transaction.session)",
        new="replace_one(before, self.document)",
    ),
    _staged(
        what="a failed commit stays staged",
        old="writes, self._writes = self._writes, []",
        new="writes = self._writes",
    ),
    _staged(
        what="additions join those from before a removal",
        old="last = self._writes[-1] if self._writes else None",
        new="last = next((write for write in self._writes if isinstance(write, Additions)), None)",
    ),
    _failures(
        what="what lost to a rival is not repeated",
        old='return error.has_error_label("TransientTransactionError") and not gone and not may_have_committed(error)',
        new="return False",
    ),
    _database(
        what="a large page is read of several moments",
        old='_ONE_MOMENT: Final = ReadConcern("snapshot")',
        new='_ONE_MOMENT: Final = ReadConcern("local")',
        allowed="with one member, and the few records of the cases, nothing comes between two steps of a read",
    ),
    _database(
        what="a cancelled caller takes the transaction along",
        old="await asyncio.shield(task)",
        new="await task",
        allowed="the driver ends it as well as it can; only a server that is slow would show the difference",
    ),
    _database(
        what="a failed transaction is committed as far as it went",
        old="                await work(Transaction(self._database, session))\n",
        new=(
            "                try:\n"
            "                    await work(Transaction(self._database, session))\n"
            "                except Exception:\n"
            "                    await session.commit_transaction()\n"
            "                    raise\n"
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
    _repositories(
        what="a page begins with the record that it comes after",
        old='"$lt" if descending else "$gt"',
        new='"$lte" if descending else "$gte"',
    ),
    _repositories(
        what="a search leaves out usernames",
        old='("name_key", "email_key", "username_key")',
        new='("name_key", "email_key")',
    ),
    _repositories(
        what="a search is by a pattern that nobody escapes",
        old='{"$or": [{key: bounds} for key in _SEARCHED]}',
        new='{"$or": [{key: {"$regex": f"^{prefix}"}} for key in _SEARCHED]}',
    ),
    _repositories(
        what="a user is required at whatever version",
        old='self._staged.require(USERS, {"_id": str(user.id), "version": user.version})',
        new='self._staged.require(USERS, {"_id": str(user.id)})',
    ),
    _repositories(
        what="a credential is required whatever it is",
        old="self._staged.require(CREDENTIALS, credential_document(credential))",
        new='self._staged.require(CREDENTIALS, {"_id": str(credential.user_id)})',
    ),
    _repositories(
        what="a session needs no user",
        old="session_document(session), owner=str(session.user_id))",
        new="session_document(session))",
    ),
    _repositories(
        what="sessions are listed as they were added",
        old='self._database.page(SESSIONS, {"user_id": str(user_id)})',
        new='self._database.documents(SESSIONS, {"$expr": {"$eq": ["$user_id", str(user_id)]}})',
    ),
    _repositories(
        what="failures expire later than they say",
        old='{"expires_at": {"$lte": moment}}',
        new='{"expires_at": {"$lt": moment}}',
    ),
    _repositories(
        what="all expired failures are read, however few were asked for",
        old='{"expires_at": {"$lte": moment}}, limit)',
        new='{"expires_at": {"$lte": moment}})',
    ),
    _documents(
        what="refreshes come back in a list that can be changed",
        old='tuple(document["refreshed_at"])',
        new='document["refreshed_at"]',
    ),
    _documents(
        what="what a session does not know comes back as empty",
        old='user_agent=document.get("user_agent")',
        new='user_agent=document.get("user_agent", "")',
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
    _schema(
        what="an admin who is not active is an active admin",
        old='{"role": Role.ADMIN.value, "active": True}',
        new='{"role": Role.ADMIN.value}',
    ),
    _schema(
        what="emails are not unique",
        old='IndexModel("email_key", unique=True, collation=_SIMPLE)',
        new='IndexModel("email_key", collation=_SIMPLE)',
    ),
    _schema(
        what="emails are unique in the judgement of a language",
        old='IndexModel("email_key", unique=True, collation=_SIMPLE)',
        new='IndexModel("email_key", unique=True, collation={"locale": "en", "strength": 1})',
    ),
    _failures(
        what="a taken username is called a taken email",
        old='"username_key": UsernameTaken',
        new='"username_key": EmailTaken',
    ),
    _address(what="times come back without a zone", old='"tz_aware": True,\n    "tzinfo": UTC,\n', new=""),
)
