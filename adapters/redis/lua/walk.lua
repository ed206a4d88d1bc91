-- KEYS: 2 the ids of users, 3 users by id. ARGV: 2 the command, 3 and 4 where its range begins and ends, 5 a prefix.
-- Goes through some users in the order of their ids; returns the id of the last one and who of them is found.
local prefix = ARGV[5]

local function begins_so(key)
  return key ~= cjson.null and string.sub(key, 1, #prefix) == prefix
end

local ids, found = redis.call(ARGV[2], KEYS[2], ARGV[3], ARGV[4], 'LIMIT', 0, AT_ONCE), {}
for _, text in ipairs(values(KEYS[3], ids)) do
  local record = cjson.decode(text)
  if begins_so(record[NAME_KEY]) or begins_so(record[EMAIL_KEY]) or begins_so(record[USERNAME_KEY]) then
    found[#found + 1] = text
  end
end
return { ids[#ids] or false, found }
