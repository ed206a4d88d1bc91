-- Deletes some records of one removed user; returns how many such users still own something.
-- ARGV: 2 what the records may be worth; see `first_owned`.
local owner = removed_owners()[1]
if not owner then
  return 0
end
local ids, are_all = first_owned(owner, tonumber(ARGV[2]))
if #ids == 0 and not are_all then
  ids, are_all = first_owned(owner, 250) -- more than any record is worth by itself
end
for _, id in ipairs(ids) do
  erase(id, owner)
end
if are_all then
  state.put(owner, false)
end
apply_changes()
return redis.call('HLEN', STATE) - 1
