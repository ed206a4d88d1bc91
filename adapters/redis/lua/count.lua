-- ARGV: 2 and 3 the bounds of a range of INDEX, 4 optionally an owner.
local first, last, owner = ARGV[2], ARGV[3], ARGV[4]
if owner then
  return is_removed(owner) and 0 or count_owned(owner, first, last)
end
local number = redis.call('ZLEXCOUNT', INDEX, first, last)
for _, removed in ipairs(removed_owners()) do
  number = number - count_owned(removed, first, last)
end
return number
