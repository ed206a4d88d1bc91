-- Redis has no rollback. A script therefore stages all its changes here, and applies them at the end.

-- The staged changes of a hash. A value of false means: deleted.
local function hash(key)
  local changed = {}
  local self = {}

  function self.get(field)
    local value = changed[field]
    if value == nil then
      return redis.call('HGET', key, field)
    end
    return value
  end

  function self.put(field, value)
    changed[field] = value
  end

  function self.apply()
    local set, deleted = {}, {}
    for field, value in pairs(changed) do
      if value then
        set[#set + 1] = field
        set[#set + 1] = value
      else
        deleted[#deleted + 1] = field
      end
    end
    in_parts(deleted, function(...) redis.call('HDEL', key, ...) end)
    in_parts(set, function(...) redis.call('HSET', key, ...) end)
  end

  return self
end

-- The staged changes of a sorted set.
local function sorted_set(key)
  local changed = {}
  local self = {}

  function self.put(member, is_in)
    changed[member] = is_in
  end

  function self.apply()
    local added, removed = {}, {}
    for member, is_in in pairs(changed) do
      if is_in then
        added[#added + 1] = SCORE
        added[#added + 1] = member
      else
        removed[#removed + 1] = member
      end
    end
    in_parts(removed, function(...) redis.call('ZREM', key, ...) end)
    in_parts(added, function(...) redis.call('ZADD', key, ...) end)
  end

  return self
end

local state, records, unique = hash(STATE), hash(RECORDS), hash(UNIQUE)
local index, owned = sorted_set(INDEX), sorted_set(OWNED)
local added_ids = {} -- of records, by their owner

-- Records come first: when Redis runs out of memory, it lets a script continue that began with a deletion.
local function apply_changes()
  for _, changed in ipairs({ records, unique, index, owned, state }) do
    changed.apply()
  end
end

-- Adds a record to the indexes, or removes it from them.
local function put_entries(id, header, is_in)
  local type_end = string.find(id, ':', 1, true)
  local type_prefix, key, owner = string.sub(id, 1, type_end), string.sub(id, type_end + 1), header[OWNER]
  for _, value in ipairs(header[UNIQUE_VALUES]) do
    unique.put(type_prefix .. value, is_in and id)
  end
  local function put(entry)
    index.put(entry, is_in)
    if owner ~= cjson.null then
      owned.put(owner .. '\0' .. entry, is_in)
    end
  end
  put(':' .. id)
  for _, entry in ipairs(header[ENTRIES]) do
    put(string.sub(entry, 1, 1) .. type_prefix .. string.sub(entry, 2) .. key)
  end
end

-- Deletes a record if it still has this owner. A missing record may have left its entry behind in a broken script.
local function erase(id, owner)
  local record = records.get(id)
  local header = record and header_of(record) or { 0, owner, {}, {} }
  if header[OWNER] == owner then
    put_entries(id, header, false)
    records.put(id, false)
  end
end

-- Finds the ids of an owner's first records with a total cost of at most `most`; returns whether these are all, and
-- their cost. A record costs one, plus one per 8 KiB, so that every batch is short.
local function first_owned(owner, most)
  local ids, worth, first, last = {}, 0, of_owner(owner, '[:'), of_owner(owner, '(;')
  for _, member in ipairs(redis.call('ZRANGEBYLEX', OWNED, first, last, 'LIMIT', 0, most + 1)) do
    local id = string.sub(member, #owner + 3)
    worth = worth + 1 + math.floor(redis.call('HSTRLEN', RECORDS, id) / 8192)
    if worth > most then
      return ids, false, worth
    end
    ids[#ids + 1] = id
  end
  return ids, true, worth
end
