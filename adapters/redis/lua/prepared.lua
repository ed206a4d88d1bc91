-- Goes before every script but that of `prepare`, behind `prelude.lua`.
if not IS_PREPARED then
  return redis.error_reply('NOTPREPARED the marker of the service is missing or of an earlier version')
end
