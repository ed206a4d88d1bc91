"""Bugs in the Redis adapter, mainly in its scripts."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from tests.mutation.bug import Bug

_prelude = partial(Bug, file="adapters/redis/lua/prelude.lua", store="redis")
_prepared = partial(Bug, file="adapters/redis/lua/prepared.lua", store="redis")
_changes = partial(Bug, file="adapters/redis/lua/changes.lua", store="redis")
_commit = partial(Bug, file="adapters/redis/lua/commit.lua", store="redis")
_page = partial(Bug, file="adapters/redis/lua/page.lua", store="redis")
_count = partial(Bug, file="adapters/redis/lua/count.lua", store="redis")
_search = partial(Bug, file="adapters/redis/lua/search.lua", store="redis")
_repositories = partial(Bug, file="adapters/redis/repositories.py", store="redis")
_encoding = partial(Bug, file="adapters/redis/encoding.py", store="redis")
_storage = partial(Bug, file="adapters/redis/storage.py", store="redis")
_connections = partial(Bug, file="adapters/redis/connections.py", store="redis")
_resilience = partial(Bug, file="adapters/resilience.py", store="redis")
_domain_records = partial(Bug, file="domain/records.py", store="redis")
_errors = partial(Bug, file="adapters/redis/errors.py", store="redis")

BUGS: Final[Sequence[Bug]] = (
    _changes(
        what="what a commit has changed is not seen by the writes that follow",
        old="    local value = changed[field]\n    if value == nil then\n",
        new="    local value = nil\n    if value == nil then\n",
    ),
    _changes(
        what="what a commit has removed is looked up again",
        old="    if value == nil then\n      return redis.call('HGET', key, field)",
        new="    if not value then\n      return redis.call('HGET', key, field)",
    ),
    _changes(
        what="only so many arguments of a large commit are written",
        old="    in_parts(set, function(...) redis.call('HSET', key, ...) end)",
        new="    redis.call('HSET', key, unpack(set, 1, math.min(#set, 200)))",
    ),
    _changes(
        what="unique values of removed records stay taken",
        old="    unique.put(type_prefix .. value, is_in and id)\n",
        new="    unique.put(type_prefix .. value, id)\n",
    ),
    _changes(
        what="unique values are not entered",
        old="    unique.put(type_prefix .. value, is_in and id)\n",
        new="",
    ),
    _changes(
        what="a unique value is taken for all types",
        old="unique.put(type_prefix .. value, is_in and id)",
        new="unique.put(value, is_in and id)",
    ),
    _changes(
        what="records are not listed by their owner",
        old="    if owner ~= cjson.null then\n      owned.put",
        new="    if false then\n      owned.put",
    ),
    _changes(
        what="removed records stay in the index",
        old="    index.put(entry, is_in)\n",
        new="    index.put(entry, true)\n",
    ),
    _changes(
        what="removed records are still counted for their owner",
        old="      owned.put(owner .. '\\0' .. entry, is_in)\n",
        new="      owned.put(owner .. '\\0' .. entry, true)\n",
    ),
    _changes(
        what="entries other than those of the key are left out",
        old="  for _, entry in ipairs(header[ENTRIES]) do\n",
        new="  for _, entry in ipairs({}) do\n",
    ),
    _changes(
        what="the records of a removed user are kept, without their entries",
        old="    records.put(id, false)\n",
        new="",
    ),
    _changes(
        what="the records of a removed user stay listed",
        old="    put_entries(id, header, false)\n    records.put",
        new="    records.put",
    ),
    _changes(
        what="only the first records of a removed user go",
        old="'LIMIT', 0, most + 1)",
        new="'LIMIT', 0, 20)",
    ),
    _commit(
        what="each write is applied as it comes",
        old="  if refusal then\n    return refusal\n  end\n",
        new="  apply_changes()\n  if refusal then\n    return refusal\n  end\n",
    ),
    _commit(
        what="a refused commit is written all the same",
        old="    return refusal\n  end\nend\n",
        new="    break\n  end\nend\n",
    ),
    _commit(
        what="a write that is refused is left out",
        old="  if refusal then\n    return refusal\n",
        new="  if refusal and first > #ARGV - 4 then\n    return refusal\n",
    ),
    _commit(
        what="a change ignores the version",
        old="header[VERSION] == tonumber(version)",
        new="true",
    ),
    _commit(
        what="a change accepts any older version",
        old="header[VERSION] == tonumber(version)",
        new="header[VERSION] <= tonumber(version)",
    ),
    _commit(
        what="a saved record keeps its old values and entries, too",
        old="    put_entries(id, header_before, false)\n",
        new="",
    ),
    _commit(
        what="a saved record gets no new values and entries",
        old="    put_entries(id, header, true)\n  end\n",
        new="  end\n",
    ),
    _commit(
        what="a saved record may take the values of another",
        old="    if taken then\n      return taken\n    end\n",
        new="",
    ),
    _commit(
        what="an added record may take the values of another",
        old="  local taken = taken_field(id, header)\n  if taken then\n    return taken\n  end\n  if owner",
        new="  if owner",
    ),
    _commit(
        what="a change that keeps the length of what is indexed is not indexed",
        old="indexed_part(before) ~= indexed_part(record)",
        new="#indexed_part(before) ~= #indexed_part(record)",
    ),
    _commit(
        what="a record needs no owner",
        old="    if not records.get(OWNERS .. owner) then\n      return 'user_not_found'\n    end\n",
        new="",
    ),
    _commit(
        what="an id is used again",
        old="  if records.get(id) then\n    return 'id_taken'\n  end\n",
        new="",
    ),
    _commit(
        what="records outlive their user",
        old="        erase(owned_id, owner)\n",
        new="",
    ),
    _commit(
        what="a removed record is still there",
        old="  put_entries(id, header, false)\n  records.put(id, false)\n",
        new="  put_entries(id, header, false)\n",
    ),
    _commit(
        what="a removed record is still listed",
        old="  put_entries(id, header, false)\n  records.put(id, false)\n",
        new="  records.put(id, false)\n",
    ),
    _commit(
        what="a required record may be at any version",
        old="  if not record_at(id, version) then",
        new="  if not records.get(id) then",
    ),
    _commit(
        what="a required record may be gone",
        old="  if not record_at(id, version) then",
        new="  if records.get(id) and not record_at(id, version) then",
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
    _search(
        what="a search finds ASCII alone",
        old="beginning .. '\\255'",
        new="beginning .. '\\127'",
    ),
    _page(
        what="the records of a user are those of all",
        old="if owner then\n",
        new="if false then\n",
    ),
    _count(
        what="the records of a user are counted with all others",
        old="if owner then\n",
        new="if false then\n",
    ),
    _prelude(
        what="a page ignores skip",
        old="first, last, 'LIMIT', skip, limit)",
        new="first, last, 'LIMIT', 0, limit)",
    ),
    _prelude(
        what="a page backwards comes forwards",
        old="  if is_descending then\n",
        new="  if false then\n",
    ),
    _prelude(
        what="a page has no limit",
        old="first, last, 'LIMIT', skip, limit)",
        new="first, last, 'LIMIT', skip, -1)",
    ),
    _prelude(
        what="values are read up to the first that is missing",
        old="      if value then\n        found[#found + 1] = value\n      end\n",
        new="      if not value then\n        return\n      end\n      found[#found + 1] = value\n",
    ),
    _prepared(
        what="the schema version is not checked",
        old="if not IS_PREPARED then",
        new="if false then",
    ),
    _repositories(
        what="a page begins with the record that it comes after",
        where="_Collection._bounds.bound",
        node="Constant",
        new='b"["',
    ),
    _repositories(
        what="a page backwards begins at the end",
        where="_Collection._bounds",
        node="Name 22",
        new="last",
    ),
    _repositories(
        what="what is due at this very moment is not found",
        where="_Collection._bounds",
        node="Name 13",
        new='(b"" if until else _LAST)',
    ),
    _repositories(
        what="everything with a time is due",
        where="_Collection._bounds",
        node="BinOp 3",
        new='b"(" + entry + _LAST',
    ),
    _repositories(
        what="all users count as active admins",
        where="RedisUserRepository.active_admins",
        node="Name 3",
        new="ID_ENTRY",
    ),
    _repositories(
        what="the version of a saved record is not that of the one before",
        where="_Collection.save",
        node="BinOp",
        new="entity.version",
    ),
    _encoding(
        what="an admin who is not active counts as one who is",
        where="encode_user",
        node="Attribute 7",
        new='user.role == "admin"',
    ),
    _encoding(
        what="everybody who is active counts as an admin",
        where="encode_user",
        node="Attribute 7",
        new="user.active",
    ),
    _encoding(
        what="times before 1970 sort backwards",
        where="encode_due",
        node="BinOp",
        new="abs(to_milliseconds(moment))",
    ),
    _domain_records(
        what="times lose their milliseconds",
        where="to_milliseconds",
        node="BinOp 1",
        new="int(moment.timestamp()) * 1000",
    ),
    _encoding(
        what="unique values are mixed up among the fields",
        where="encode_record.unique",
        node="ListComp",
        new='[f"value:{value}" for _, value in record_type.unique_values_of(record).items()]',
    ),
    _storage(
        what="a failed commit stays staged",
        where="RedisUnitOfWork.commit",
        node="Expr 1",
        new="pass",
    ),
    _storage(
        what="the refusal of a commit is swallowed",
        where="RedisUnitOfWork.commit",
        node="Raise",
        new="return",
    ),
    _connections(
        what="a connection whose answer was not read is used again",
        where="Connections._release_or_close",
        node="Await 3",
        new="self._idle[address].append(connection)",
        allowed="the driver closes it as well",
    ),
    _resilience(
        what="a place in the queue is never given back", where="ConnectionLimiter.__aexit__", node="Expr", new="pass"
    ),
    _errors(
        what="a service that is not prepared is an outage",
        where="_translate_code",
        node="Name 3",
        new="StorageUnavailable",
    ),
)
