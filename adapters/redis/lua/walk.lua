-- ARGV: 2 and 3 the bounds of a range of the users in INDEX, 4 "ascending" or "descending", 5 a prefix. Visits some
-- users in the order of their ids; returns the id of the last one, and those that match.
local prefix = ARGV[5]

local function is_found(user)
  for _, entry in ipairs(header_of(user)[ENTRIES]) do
    if string.sub(entry, 1, 1) == '/' and string.sub(entry, 6, 5 + #prefix) == prefix then
      return true
    end
  end
  return false
end

local entries, ids, found = range(INDEX, ARGV[2], ARGV[3], ARGV[4] == 'descending', 0, MAX_ARGUMENTS), {}, {}
for number, entry in ipairs(entries) do
  ids[number] = string.sub(entry, 2)
end
for _, user in ipairs(records_of(ids)) do
  if is_found(user) then
    found[#found + 1] = user
  end
end
return { #entries > 0 and string.sub(entries[#entries], #OWNERS + 2), found }
