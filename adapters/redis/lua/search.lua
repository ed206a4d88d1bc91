-- KEYS: 2 the search index, 3 users by id. ARGV: 2 and 3 where the range begins and ends, 4 'count' or the direction,
-- 5 limit. A user whose keys fit more than once is found once.
local ids, seen = {}, {}
for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], ARGV[2], ARGV[3])) do
  local id = id_of(member)
  if not seen[id] then
    seen[id] = true
    ids[#ids + 1] = id
  end
end
if ARGV[4] == 'count' then
  return #ids
end
if ARGV[4] == 'descending' then
  table.sort(ids, function(one, other) return one > other end)
else
  table.sort(ids)
end
local first = {}
for place = 1, math.min(#ids, tonumber(ARGV[5])) do
  first[place] = ids[place]
end
return values(KEYS[3], first)
