"""Mistakes in the Redis adapter, in its scripts above all."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.mutation.bug import Bug

_commit = partial(Bug, file="adapters/redis/lua/commit.lua", store="redis")
_search = partial(Bug, file="adapters/redis/lua/search.lua", store="redis")
_expired = partial(Bug, file="adapters/redis/lua/expired.lua", store="redis")
_page = partial(Bug, file="adapters/redis/lua/page.lua", store="redis")
_prelude = partial(Bug, file="adapters/redis/lua/prelude.lua", store="redis")
_prepared = partial(Bug, file="adapters/redis/lua/prepared.lua", store="redis")
_repositories = partial(Bug, file="adapters/redis/repositories.py", store="redis")
_records = partial(Bug, file="adapters/redis/records.py", store="redis")
_storage = partial(Bug, file="adapters/redis/storage.py", store="redis")
_connections = partial(Bug, file="adapters/redis/connections.py", store="redis")
_errors = partial(Bug, file="adapters/redis/errors.py", store="redis")

BUGS: Final[Sequence[Bug]] = (
    _commit(
        what="what a commit has changed is not seen by the writes that follow",
        old="    local value = changed[field]\n    if value == nil then\n",
        new="    local value = nil\n    if value == nil then\n",
    ),
    _commit(
        what="what a commit has removed is looked up again",
        old="    if value == nil then\n      return redis.call('HGET', key, field)",
        new="    if not value then\n      return redis.call('HGET', key, field)",
    ),
    _commit(
        what="each write is applied as it comes",
        old="  if refusal then\n    return refusal\n  end\n",
        new="  for _, changed in ipairs(tables) do changed.write() end\n  if refusal then\n    return refusal\n  end\n",
    ),
    _commit(
        what="a refused commit is written all the same",
        old="    return refusal\n  end\nend\n",
        new="    break\n  end\nend\n",
    ),
    _commit(
        what="a write that is refused is left out",
        old="  if refusal then\n    return refusal\n",
        new="  if refusal and place > #ARGV - 3 then\n    return refusal\n",
    ),
    _commit(
        what="a change ignores the version",
        old="record[VERSION] == version and record",
        new="record",
    ),
    _commit(
        what="a change accepts any older version",
        old="record[VERSION] == version",
        new="record[VERSION] <= version",
    ),
    _commit(
        what="a saved user keeps the old email, too",
        old="  emails.put(record[EMAIL_KEY], false)\n",
        new="",
    ),
    _commit(
        what="old search keys are not removed",
        old="  index_user(id, record, false)\n",
        new="",
    ),
    _commit(
        what="posts and sessions outlive their user",
        old="      records.put(id_of(member), false)\n",
        new="",
    ),
    _commit(
        what="posts outlive their author",
        old="  posts_of_users.remove_all_of(id)\n",
        new="",
    ),
    _commit(
        what="sessions outlive their user",
        old="  sessions_of_users.remove_all_of(id)\n",
        new="",
    ),
    _commit(
        what="the posts of a removed author are still counted",
        old="      ids.put(member, false, owner)\n",
        new="",
    ),
    _commit(
        what="a removed post is still counted",
        old="    ids.put(record[OWNER_ID] .. id, false, record[OWNER_ID])\n",
        new="",
    ),
    _commit(
        what="posts that were staged outlive their author",
        old="      if changed[member] then\n        found[#found + 1] = member\n",
        new="      if false then\n        found[#found + 1] = member\n",
    ),
    _commit(
        what="credentials outlive their user",
        old="  credentials.put(id, false)\n",
        new="",
    ),
    _commit(
        what="the posts of authors with a similar id go along",
        old="'[' .. owner, '(' .. owner .. '\\255'",
        new="'-', '+'",
    ),
    _commit(
        what="a post needs no author, and a session no user",
        old="    if not users.get(owner) then\n      return 'user_not_found'\n    end\n",
        new="",
    ),
    _commit(
        what="the id of a post or a session is used again",
        old="    if records.get(id) then\n      return 'id_taken'\n    end\n",
        new="",
    ),
    _commit(
        what="sessions are kept with the posts",
        old="belongings(sessions, session_ids)",
        new="belongings(posts, session_ids)",
    ),
    _commit(
        what="a required user may be at any version",
        old="if not at_version(users, id, tonumber(version)) then",
        new="if not users.get(id) then",
    ),
    _commit(
        what="a required user may be gone",
        old="if not at_version(users, id, tonumber(version)) then",
        new="if users.get(id) and not at_version(users, id, tonumber(version)) then",
    ),
    _commit(
        what="any credential will do where one is required",
        old="if credentials.get(user_id) ~= password_hash then",
        new="if not credentials.get(user_id) then",
    ),
    _commit(
        what="a required credential may be missing",
        old="if credentials.get(user_id) ~= password_hash then",
        new="if (credentials.get(user_id) or password_hash) ~= password_hash then",
    ),
    _commit(
        what="a required credential is put instead",
        old="  if credentials.get(user_id) ~= password_hash then\n    return 'stale_version'\n  end\n",
        new="  credentials.put(user_id, password_hash)\n",
    ),
    _commit(
        what="who was an active admin once is one for ever",
        old="active_admins.put(id, score)",
        new="active_admins.put(id, BY_MEMBER)",
    ),
    _commit(
        what="failures expire when they first would have",
        old="  put_failures(key, text, record)\nend",
        new="  failures.put(key, text)\nend",
    ),
    _commit(
        what="failures are counted from the beginning by whoever comes later",
        old="  if failures.get(key) then\n    return 'id_taken'\n  end\n",
        new="",
    ),
    _commit(
        what="failures are saved over any version",
        old="at_version(failures, key, record[VERSION] - 1)",
        new="failures.get(key)",
    ),
    _commit(
        what="failures are removed at any version",
        old="at_version(failures, key, tonumber(version))",
        new="failures.get(key)",
    ),
    _expired(
        what="failures that expire at this moment are not found",
        old="'-inf', ARGV[2]",
        new="'-inf', '(' .. ARGV[2]",
    ),
    _expired(
        what="all expired failures are read at once",
        old=", 'LIMIT', 0, ARGV[3]",
        new="",
    ),
    _commit(
        what="only so many arguments of a large commit are written",
        old="    in_parts(set, function(...) redis.call('HSET', key, ...) end)",
        new="    redis.call('HSET', key, unpack(set, 1, math.min(#set, 200)))",
    ),
    _search(
        what="a user is counted for each key that fits",
        old="for shared = 0, #prefix - 1 do\n  number",
        new="for shared = 0, 40 do\n  number",
    ),
    _search(
        what="keys that share their beginning with another key are not searched",
        old="for shared = 0, #prefix - 1 do\n  for",
        new="for shared = 0, 0 do\n  for",
    ),
    _search(
        what="a search comes back by name instead of id",
        old="  table.sort(ids)\n",
        new="",
    ),
    _page(
        what="a page ignores skip",
        old="'LIMIT', ARGV[5], ARGV[6]",
        new="'LIMIT', 0, ARGV[6]",
    ),
    _prepared(
        what="nobody looks whether the place is prepared",
        old="if not IS_PREPARED then",
        new="if false then",
    ),
    _prelude(
        what="an admin who is not active counts as one who is",
        old="record[ROLE] == 'admin' and record[ACTIVE]",
        new="record[ROLE] == 'admin'",
    ),
    _prelude(
        what="everybody who is active counts as an admin",
        old="record[ROLE] == 'admin' and record[ACTIVE]",
        new="record[ACTIVE]",
    ),
    _prelude(
        what="values are read up to the first that is missing",
        old="      if value then\n        found[#found + 1] = value\n      end\n",
        new="      if not value then\n        return\n      end\n      found[#found + 1] = value\n",
    ),
    _repositories(
        what="a page begins with the record that it comes after",
        old='f"({beginning}{after}"',
        new='f"[{beginning}{after}"',
    ),
    _repositories(
        what="a page backwards begins at the end",
        old="place or last, first",
        new="last, first",
    ),
    _repositories(
        what="the last active admins are read instead of the first",
        old='scripts.PAGE_ACTIVE_ADMINS, *_range("", None, descending=False)',
        new='scripts.PAGE_ACTIVE_ADMINS, *_range("", None, descending=True)',
    ),
    _repositories(
        what="everybody's sessions are a user's",
        old="scripts.PAGE_SESSIONS, *_range(user_id, None, descending=False)",
        new='scripts.PAGE_SESSIONS, *_range("", None, descending=False)',
    ),
    _repositories(
        what="the last sessions of a user are left out",
        old="_ALL: Final = -1",
        new="_ALL: Final = 50",
    ),
    _search(
        what="a search finds ASCII alone",
        old="beginning .. '\\255'",
        new="beginning .. '\\127'",
    ),
    _records(
        what="times lose their milliseconds",
        old="return (time - _EPOCH) // _MILLISECOND",
        new="return int(time.timestamp()) * 1000",
    ),
    _records(
        what="an empty bio comes back as none",
        old="None if bio is None else Bio(bio)",
        new="Bio(bio) if bio else None",
    ),
    _records(
        what="the refreshes of a session are forgotten",
        old="[milliseconds(moment) for moment in session.refreshed_at]",
        new="[]",
    ),
    _records(
        what="only some of the failures are kept",
        old="for moment in failures.moments]",
        new="for moment in failures.moments[-50:]]",
    ),
    _records(
        what="the salt of a session is lost",
        old="salt=salt",
        new="salt=token_digest",
    ),
    _storage(
        what="a failed commit stays staged",
        old="        self._staged.clear()\n",
        new="",
    ),
    _storage(
        what="the refusal of a commit is swallowed",
        old="                raise _REFUSALS[refusal]",
        new="                return",
    ),
    _connections(
        what="a connection whose answer was not read is used again",
        old="            await connection.disconnect(nowait=True)\n            raise\n        self._idle",
        new="            self._idle[address].append(connection)\n            raise\n        self._idle",
        allowed="the driver closes it as well",
    ),
    _connections(
        what="a place in the queue is never given back",
        old="            self._free.release()",
        new="            pass",
    ),
    _errors(
        what="a place that is not prepared is an outage",
        old="return StorageNotPrepared()",
        new="return StorageUnavailable()",
    ),
)
