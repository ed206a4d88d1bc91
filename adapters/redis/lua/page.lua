-- ARGV: 2 and 3 the bounds of a range of INDEX, 4 the number of bytes before the key in its entries, 5 the type and a
-- colon, 6 "ascending" or "descending", 7 how many to skip, 8 how many to return, 9 optionally an owner.
local first, last, key_offset, id_prefix, owner = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[9]
local is_descending, skip, limit = ARGV[6] == 'descending', tonumber(ARGV[7]), tonumber(ARGV[8])

local function records_at(entries, offset)
  local ids = {}
  for number, entry in ipairs(entries) do
    ids[number] = id_prefix .. string.sub(entry, offset + 1)
  end
  return records_of(ids)
end

if owner then
  if is_removed(owner) then
    return {}
  end
  local from, to = of_owner(owner, first), of_owner(owner, last)
  return records_at(range(OWNED, from, to, is_descending, skip, limit), key_offset + #owner + 1)
end

local removed = {} -- the removed users who still own something in this range
for _, user in ipairs(is_purging() and removed_owners() or {}) do
  if count_owned(user, first, last) > 0 then
    removed[#removed + 1] = user
  end
end
if #removed == 0 then
  return records_at(range(INDEX, first, last, is_descending, skip, limit), key_offset)
end

-- Any number of consecutive records can be hidden, so they are counted instead of visited.
local before = string.sub(first, 1, 1) == '[' and '(' or '['
local rank = redis.call('ZLEXCOUNT', INDEX, '-', before .. string.sub(first, 2))
local size = redis.call('ZLEXCOUNT', INDEX, first, last)

local function entry_at(position)
  local at = rank + (is_descending and size - 1 - position or position)
  return redis.call('ZRANGE', INDEX, at, at)[1]
end

local function count_visible(from, to)
  local low, high = entry_at(from), entry_at(to)
  if is_descending then
    low, high = high, low
  end
  local number = to - from + 1
  for _, user in ipairs(removed) do
    number = number - count_owned(user, '[' .. low, '[' .. high)
  end
  return number
end

-- The position of the nth visible entry from a position on, by exponential and then binary search.
local function find_visible(from, nth)
  local low, step = from + nth - 1, 1
  local high = low
  if low >= size then
    return nil
  end
  while count_visible(from, high) < nth do
    if high == size - 1 then
      return nil
    end
    low, high, step = high + 1, math.min(high + step, size - 1), step * 2
  end
  while low < high do
    local middle = math.floor((low + high) / 2)
    if count_visible(from, middle) < nth then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

local entries, position = {}, find_visible(0, skip + 1)
while position and #entries < limit do
  entries[#entries + 1] = entry_at(position)
  position = find_visible(position + 1, 1)
end
return records_at(entries, key_offset)
