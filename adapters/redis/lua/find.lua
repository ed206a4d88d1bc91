-- KEYS: 2 ids by a key, 3 records by id. ARGV: at most 1,000 keys.
return values(KEYS[3], values(KEYS[2], { unpack(ARGV, 2) }))
