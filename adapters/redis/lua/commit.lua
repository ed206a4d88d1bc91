-- Applies the writes of one unit of work, in order, or nothing. Returns the error code of the first write that fails,
-- otherwise the number of removed users who still own something.
--
-- ARGV from 2, four per write: its name, the id of the record, the required version, and the new content.

local room = 1000 -- the total cost of the records deleted within a commit; see `first_owned`

local function record_at(id, version)
  local record = records.get(id)
  local header = record and header_of(record)
  local is_there = header and (header[OWNER] == cjson.null or not state.get(header[OWNER]))
  if is_there and header[VERSION] == tonumber(version) then
    return record, header
  end
end

local function owner_key(id)
  return string.sub(id, 1, #OWNERS) == OWNERS and string.sub(id, #OWNERS + 1)
end

-- The type and the field of the first unique value that another record has.
local function taken_field(id, header)
  local type_prefix = string.match(id, '^[^:]*:')
  for _, value in ipairs(header[UNIQUE_VALUES]) do
    if unique.get(type_prefix .. value) then
      return type_prefix .. string.match(value, '^[^:]*')
    end
  end
end

-- A header without its version. While it is unchanged, so are all entries.
local function indexed_part(record)
  return string.match(record, '^%[%d+([^\n]*)')
end

local writes = {}

function writes.add(id, _, record)
  local header = header_of(record)
  local owner, key = header[OWNER], owner_key(id)
  if records.get(id) then
    return 'id_taken'
  end
  if key and state.get(key) then
    return 'too_busy'
  end
  local taken = taken_field(id, header)
  if taken then
    return taken
  end
  if owner ~= cjson.null then
    if not records.get(OWNERS .. owner) then
      return 'user_not_found'
    end
    added_ids[owner] = added_ids[owner] or {}
    table.insert(added_ids[owner], id)
  end
  put_entries(id, header, true)
  records.put(id, record)
end

function writes.save(id, version, record)
  local before, header_before = record_at(id, version)
  if not before then
    return 'stale_version'
  end
  if indexed_part(before) ~= indexed_part(record) then
    local header = header_of(record)
    put_entries(id, header_before, false)
    local taken = taken_field(id, header)
    if taken then
      return taken
    end
    put_entries(id, header, true)
  end
  records.put(id, record)
end

function writes.remove(id, version)
  local record, header = record_at(id, version)
  if not record then
    return 'stale_version'
  end
  put_entries(id, header, false)
  records.put(id, false)
  local owner = owner_key(id)
  if owner then
    local ids, are_all, worth = first_owned(owner, room)
    if not are_all then
      state.put(owner, 1)
      return
    end
    room = room - worth
    for _, owned_ids in ipairs({ ids, added_ids[owner] or {} }) do
      for _, owned_id in ipairs(owned_ids) do
        erase(owned_id, owner)
      end
    end
  end
end

function writes.require(id, version)
  if not record_at(id, version) then
    return 'stale_version'
  end
end

for first = 2, #ARGV, 4 do
  local refusal = writes[ARGV[first]](ARGV[first + 1], ARGV[first + 2], ARGV[first + 3])
  if refusal then
    return refusal
  end
end
apply_changes()
return redis.call('HLEN', STATE) - 1
