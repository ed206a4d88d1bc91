-- KEYS[2]: a sorted set. ARGV: 2 and 3 where the range begins and ends.
return redis.call('ZLEXCOUNT', KEYS[2], ARGV[2], ARGV[3])
