if not IS_PREPARED then
  redis.call('HSET', STATE, 'version', ARGV[1])
end
