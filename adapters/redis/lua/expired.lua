-- KEYS: 2 keys by the time at which they expire, 3 records by key. ARGV: 2 a time, 3 limit.
return values(KEYS[3], redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', ARGV[2], 'LIMIT', 0, ARGV[3]))
