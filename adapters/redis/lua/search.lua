-- ARGV: 2 a prefix. Returns the number of matches, unless there are also: 3 the direction, 4 the limit, 5 the maximum
-- number of matches to sort; if there are more, their number is returned.
--
-- Each search key of a user has an entry: "/User:", the number of bytes that the key shares with an earlier key of the
-- same user in four digits, the key, a tab and the user's id. Of a user with several matching keys, exactly one entry
-- therefore shares fewer bytes than the prefix has.
local prefix, direction, limit, most = ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local function entries(command, shared)
  local beginning = '/' .. OWNERS .. string.format('%04d', shared) .. prefix
  return redis.call(command, INDEX, '[' .. beginning, '(' .. beginning .. '\255')
end

local number = 0
for shared = 0, #prefix - 1 do
  number = number + entries('ZLEXCOUNT', shared)
end
if not direction or number > most then
  return number
end

local ids = {}
for shared = 0, #prefix - 1 do
  for _, entry in ipairs(entries('ZRANGEBYLEX', shared)) do
    ids[#ids + 1] = OWNERS .. string.sub(entry, string.find(entry, '\t', 1, true) + 1)
  end
end
if direction == 'descending' then
  table.sort(ids, function(one, other) return one > other end)
else
  table.sort(ids)
end
return records_of({ unpack(ids, 1, math.min(#ids, limit)) })
