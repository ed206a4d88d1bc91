-- Precedes every other script. ARGV[1] is the required version of the layout.
--
-- STATE    hash: the layout's `version`, and the id of each removed user whose records are not all deleted yet
-- RECORDS  hash from a record's id (type and key: "notes:…") to its header, a line feed and its body
-- UNIQUE   hash from a unique value (type, field and value: "User:email:…") to the id of the record that has it
-- INDEX    sorted set, in the order of its members: the entries of every record. Each kind of entry has a first
--          character of its own, followed by the type and finally the key: ":notes:…" for the order of the keys
-- OWNED    sorted set: the entries of every record with an owner, each preceded by the owner's id and NUL
local STATE, RECORDS, UNIQUE, INDEX, OWNED = unpack(KEYS)
local IS_PREPARED = tonumber(redis.call('HGET', STATE, 'version') or 0) >= tonumber(ARGV[1])

-- A header is a JSON array: the version, the owner or null, the unique values ("email:…"), and all entries except the
-- one for the key, each without its type and its key.
local VERSION, OWNER, UNIQUE_VALUES, ENTRIES = 1, 2, 3, 4
local OWNERS = 'User:'
local SCORE = 0 -- the score of every member of the sorted sets, which are in the order of their members
local MAX_ARGUMENTS = 1000 -- arguments per call, an even number: Lua's stack holds some 8,000

local function in_parts(arguments, call)
  for first = 1, #arguments, MAX_ARGUMENTS do
    call(unpack(arguments, first, math.min(first + MAX_ARGUMENTS - 1, #arguments)))
  end
end

local function header_of(record)
  return cjson.decode(string.match(record, '^[^\n]*'))
end

-- Whether records of removed users exist, which must stay hidden.
local function is_purging()
  return redis.call('HLEN', STATE) > 1
end

local function removed_owners()
  local owners = {}
  for _, field in ipairs(redis.call('HKEYS', STATE)) do
    if field ~= 'version' then
      owners[#owners + 1] = field
    end
  end
  return owners
end

local function is_removed(owner)
  return owner ~= cjson.null and redis.call('HEXISTS', STATE, owner) == 1
end

-- The values of some fields of a hash.
local function values(key, fields)
  local found = {}
  in_parts(fields, function(...)
    for _, value in ipairs(redis.call('HMGET', key, ...)) do
      if value then
        found[#found + 1] = value
      end
    end
  end)
  return found
end

-- The records with these ids, without those of removed users.
local function records_of(ids)
  local found = values(RECORDS, ids)
  if not is_purging() then
    return found
  end
  local visible = {}
  for _, record in ipairs(found) do
    if not is_removed(header_of(record)[OWNER]) then
      visible[#visible + 1] = record
    end
  end
  return visible
end

-- The bound of a range of INDEX as a bound of OWNED. The first character says whether it is included.
local function of_owner(owner, bound)
  return string.sub(bound, 1, 1) .. owner .. '\0' .. string.sub(bound, 2)
end

local function count_owned(owner, first, last)
  return redis.call('ZLEXCOUNT', OWNED, of_owner(owner, first), of_owner(owner, last))
end

-- Members of a sorted set between two bounds, in either direction.
local function range(key, first, last, is_descending, skip, limit)
  if is_descending then
    return redis.call('ZREVRANGEBYLEX', key, last, first, 'LIMIT', skip, limit)
  end
  return redis.call('ZRANGEBYLEX', key, first, last, 'LIMIT', skip, limit)
end
