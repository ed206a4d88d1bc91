-- Precedes every script except `prepare`, behind `prelude.lua`.
if not IS_PREPARED then
  return redis.error_reply('NOTPREPARED the marker of the service is missing or of an earlier version')
end
