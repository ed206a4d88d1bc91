-- KEYS: 2 the mark of version 1, 3 users by id, 4 the ids of users, 5 those of active admins. ARGV[2]: where the range of
-- the ids begins that have not been looked at. Makes the index of active admins from what version 1 has left, some users
-- at a time; returns the id of the last one, or nothing when there are no more.
if IS_PREPARED then
  return false
end
-- Meanwhile nobody writes: not this version, for want of the mark, nor version 1, which would not keep the index.
redis.call('SET', KEYS[2], 0)
local ids, admins = redis.call('ZRANGEBYLEX', KEYS[4], ARGV[2], '+', 'LIMIT', 0, AT_ONCE), {}
for _, text in ipairs(values(KEYS[3], ids)) do
  local record = cjson.decode(text)
  if is_active_admin(record) then
    admins[#admins + 1] = BY_MEMBER
    admins[#admins + 1] = record[ID]
  end
end
in_parts(admins, function(...) redis.call('ZADD', KEYS[5], ...) end)
if #ids == AT_ONCE then
  return ids[#ids]
end
redis.call('SET', KEYS[1], ARGV[1])
return false
