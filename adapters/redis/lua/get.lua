-- KEYS[2]: records by id. ARGV: ids.
return values(KEYS[2], { unpack(ARGV, 2) })
