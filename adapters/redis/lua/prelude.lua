-- Goes before every other script. ARGV[1] is the version of the layout that is needed.
--
-- STATE    a hash: the layout's `version`, and the id of each removed user whose records are not all deleted yet
-- RECORDS  a hash: the id of a record, which is its type and its key, "notes:…", to its header, a line feed and a body
-- UNIQUE   a hash: the type, a unique field and its value, "User:email:…", to the id of the record that has it
-- INDEX    a sorted set, in the order of its members: the entries of every record. A kind of entry begins with a
--          character of its own, goes on with the type and ends with the key: ":notes:…" for the order of the keys
-- OWNED    a sorted set: the entries of every record with an owner, each behind the owner's id and NUL
local STATE, RECORDS, UNIQUE, INDEX, OWNED = unpack(KEYS)
local IS_PREPARED = tonumber(redis.call('HGET', STATE, 'version') or 0) >= tonumber(ARGV[1])

-- A header is a JSON array of the version, the owner or null, the unique values, as "email:…", and all entries but the
-- one for the key, each without its type and its key.
local VERSION, OWNER, UNIQUE_VALUES, ENTRIES = 1, 2, 3, 4
local OWNERS = 'User:'
local BY_MEMBER = 0 -- the score of all in a sorted set that has the order of its members
local AT_ONCE = 1000 -- arguments of one call, an even number: Lua's stack holds some 8,000

local function in_parts(arguments, call)
  for first = 1, #arguments, AT_ONCE do
    call(unpack(arguments, first, math.min(first + AT_ONCE - 1, #arguments)))
  end
end

local function header_of(record)
  return cjson.decode(string.match(record, '^[^\n]*'))
end

-- Whether there are records of removed users, which nobody may see.
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

-- The values that a hash has for some of its fields.
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

-- The bound of a range of INDEX as a bound of OWNED. The first character tells whether it is included.
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
