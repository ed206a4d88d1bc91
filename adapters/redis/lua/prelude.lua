-- Goes before every other script here. KEYS[1] is the mark that `prepare` leaves, ARGV[1] the version that is needed.
local IS_PREPARED = tonumber(redis.call('GET', KEYS[1]) or 0) >= tonumber(ARGV[1])

-- Places in the record of a user. What has a version has it first.
local VERSION, NAME_KEY, EMAIL_KEY, USERNAME_KEY, ID, ROLE, ACTIVE = 1, 2, 3, 4, 5, 10, 11
local OWNER_ID = 2 -- place in the record of a post or a session
local EXPIRES_AT = 2 -- place in the record of failures
local ID_LENGTH = 36
local BY_MEMBER = 0 -- the score of all in a sorted set that has the order of its members
local AT_ONCE = 1000 -- arguments of one call, an even number: Lua's stack holds some 8,000

local function in_parts(arguments, call)
  for first = 1, #arguments, AT_ONCE do
    call(unpack(arguments, first, math.min(first + AT_ONCE - 1, #arguments)))
  end
end

-- The values that a hash has for some of its fields.
local function values(key, fields)
  local found = {}
  in_parts(fields, function(...)
    for _, value in ipairs(redis.call('HMGET', key, ...)) do
      if value then
        found[#found + 1] = value
      end
    end
  end)
  return found
end

-- The members of a sorted set all end with an id.
local function id_of(member)
  return string.sub(member, -ID_LENGTH)
end

local function bytes_of(number)
  return string.char(math.floor(number / 256), number % 256)
end

local function is_active_admin(record)
  return record[ROLE] == 'admin' and record[ACTIVE]
end
