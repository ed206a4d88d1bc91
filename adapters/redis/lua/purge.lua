-- Deletes some records of one removed user; returns how many such users still own something.
local owner = removed_owners()[1]
if not owner then
  return 0
end
local ids, are_all = first_owned(owner, 250)
for _, id in ipairs(ids) do
  erase(id, owner)
end
if are_all then
  state.put(owner, false)
end
apply_changes()
return redis.call('HLEN', STATE) - 1
