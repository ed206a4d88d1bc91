-- KEYS: 2 a sorted set, 3 records by id. ARGV: 2 the command, 3 and 4 where its range begins and ends, 5 skip, 6 limit.
local ids = redis.call(ARGV[2], KEYS[2], ARGV[3], ARGV[4], 'LIMIT', ARGV[5], ARGV[6])
for place, member in ipairs(ids) do
  ids[place] = id_of(member)
end
return values(KEYS[3], ids)
