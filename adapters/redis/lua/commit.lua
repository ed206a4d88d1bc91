-- Applies the writes of one unit of work, in their order, or returns the code of the error with which the first one
-- of them fails. Redis takes nothing back, so all of it is tried on what is noted here, and written at the end.
--
-- KEYS: as named below. ARGV, from 2 on: the name of a write, an id or a key, and a record, a version or a hash; and so
-- on.

-- A hash with the changes of this commit before it. A value of false stands for none.
local function hash(key)
  local changed = {}
  local self = {}

  function self.get(field)
    local value = changed[field]
    if value == nil then
      return redis.call('HGET', key, field)
    end
    return value
  end

  function self.put(field, value)
    changed[field] = value
  end

  function self.write()
    local set, deleted = {}, {}
    for field, value in pairs(changed) do
      if value then
        set[#set + 1] = field
        set[#set + 1] = value
      else
        deleted[#deleted + 1] = field
      end
    end
    in_parts(deleted, function(...) redis.call('HDEL', key, ...) end)
    in_parts(set, function(...) redis.call('HSET', key, ...) end)
  end

  return self
end

-- A sorted set with the changes of this commit before it. A score of false stands for a member who is not in.
local function index(key)
  local changed, by_owner = {}, {}
  local self = {}

  -- The owner is what the member begins with; only who asks for `members` need name one.
  function self.put(member, score, owner)
    changed[member] = score
    if owner then
      by_owner[owner] = by_owner[owner] or {}
      by_owner[owner][member] = true
    end
  end

  function self.members(owner)
    local found = {}
    for _, member in ipairs(redis.call('ZRANGEBYLEX', key, '[' .. owner, '(' .. owner .. '\255')) do
      if changed[member] == nil then
        found[#found + 1] = member
      end
    end
    for member in pairs(by_owner[owner] or {}) do
      if changed[member] then
        found[#found + 1] = member
      end
    end
    return found
  end

  function self.write()
    local added, removed = {}, {}
    for member, score in pairs(changed) do
      if score then
        added[#added + 1] = score
        added[#added + 1] = member
      else
        removed[#removed + 1] = member
      end
    end
    in_parts(removed, function(...) redis.call('ZREM', key, ...) end)
    in_parts(added, function(...) redis.call('ZADD', key, ...) end)
  end

  return self
end

local users, emails, usernames = hash(KEYS[2]), hash(KEYS[3]), hash(KEYS[4])
local posts, credentials, sessions, failures = hash(KEYS[5]), hash(KEYS[6]), hash(KEYS[7]), hash(KEYS[8])
local user_ids, search, post_ids, session_ids = index(KEYS[9]), index(KEYS[10]), index(KEYS[11]), index(KEYS[12])
local active_admins, expiries = index(KEYS[13]), index(KEYS[14])
local tables = {
  users, emails, usernames, posts, credentials, sessions, failures,
  user_ids, search, post_ids, session_ids, active_admins, expiries,
}

local function at_version(records, id, version)
  local text = records.get(id)
  local record = text and cjson.decode(text)
  return record and record[VERSION] == version and record
end

-- How many bytes two texts have in common at their beginnings.
local function shared_bytes(one, other)
  local number = 0
  while number < #one and string.byte(one, number + 1) == string.byte(other, number + 1) do
    number = number + 1
  end
  return number
end

-- `search.lua` tells what the entries of the search index are.
local function index_user(id, record, score)
  for place = NAME_KEY, USERNAME_KEY do
    local key, shared = record[place], 0
    if key ~= cjson.null then
      for earlier = NAME_KEY, place - 1 do
        shared = math.max(shared, shared_bytes(key, record[earlier]))
      end
      search.put(bytes_of(shared) .. key .. '\0' .. id, score)
    end
  end
  if is_active_admin(record) then
    active_admins.put(id, score)
  end
end

local function free_keys(id, record)
  index_user(id, record, false)
  emails.put(record[EMAIL_KEY], false)
  if record[USERNAME_KEY] ~= cjson.null then
    usernames.put(record[USERNAME_KEY], false)
  end
end

local function put_user(id, text, record)
  local username = record[USERNAME_KEY]
  if emails.get(record[EMAIL_KEY]) then
    return 'email_taken'
  end
  if username ~= cjson.null and usernames.get(username) then
    return 'username_taken'
  end
  users.put(id, text)
  user_ids.put(id, BY_MEMBER)
  index_user(id, record, BY_MEMBER)
  emails.put(record[EMAIL_KEY], id)
  if username ~= cjson.null then
    usernames.put(username, id)
  end
end

-- The writes to records that belong to a user, with the index that lists them user by user.
local function belongings(records, ids)
  local self = {}

  function self.add(id, text)
    local owner = cjson.decode(text)[OWNER_ID]
    if records.get(id) then
      return 'id_taken'
    end
    if not users.get(owner) then
      return 'user_not_found'
    end
    records.put(id, text)
    ids.put(owner .. id, BY_MEMBER, owner)
  end

  function self.save(id, text)
    if not at_version(records, id, cjson.decode(text)[VERSION] - 1) then
      return 'stale_version'
    end
    records.put(id, text)
  end

  function self.remove(id, version)
    local record = at_version(records, id, tonumber(version))
    if not record then
      return 'stale_version'
    end
    records.put(id, false)
    ids.put(record[OWNER_ID] .. id, false, record[OWNER_ID])
  end

  function self.remove_all_of(owner)
    for _, member in ipairs(ids.members(owner)) do
      ids.put(member, false, owner)
      records.put(id_of(member), false)
    end
  end

  return self
end

local posts_of_users, sessions_of_users = belongings(posts, post_ids), belongings(sessions, session_ids)

local function put_failures(key, text, record)
  failures.put(key, text)
  expiries.put(key, record[EXPIRES_AT])
end

local writes = {
  add_post = posts_of_users.add,
  save_post = posts_of_users.save,
  remove_post = posts_of_users.remove,
  add_session = sessions_of_users.add,
  save_session = sessions_of_users.save,
  remove_session = sessions_of_users.remove,
}

function writes.add_user(id, text)
  if users.get(id) then
    return 'id_taken'
  end
  return put_user(id, text, cjson.decode(text))
end

function writes.save_user(id, text)
  local record = cjson.decode(text)
  local before = at_version(users, id, record[VERSION] - 1)
  if not before then
    return 'stale_version'
  end
  free_keys(id, before)
  return put_user(id, text, record)
end

function writes.remove_user(id, version)
  local record = at_version(users, id, tonumber(version))
  if not record then
    return 'stale_version'
  end
  free_keys(id, record)
  posts_of_users.remove_all_of(id)
  sessions_of_users.remove_all_of(id)
  credentials.put(id, false)
  user_ids.put(id, false)
  users.put(id, false)
end

function writes.require_user(id, version)
  if not at_version(users, id, tonumber(version)) then
    return 'stale_version'
  end
end

function writes.put_credential(user_id, password_hash)
  if not users.get(user_id) then
    return 'user_not_found'
  end
  credentials.put(user_id, password_hash)
end

function writes.require_credential(user_id, password_hash)
  if credentials.get(user_id) ~= password_hash then
    return 'stale_version'
  end
end

function writes.add_failures(key, text)
  if failures.get(key) then
    return 'id_taken'
  end
  put_failures(key, text, cjson.decode(text))
end

function writes.save_failures(key, text)
  local record = cjson.decode(text)
  if not at_version(failures, key, record[VERSION] - 1) then
    return 'stale_version'
  end
  put_failures(key, text, record)
end

function writes.remove_failures(key, version)
  if not at_version(failures, key, tonumber(version)) then
    return 'stale_version'
  end
  failures.put(key, false)
  expiries.put(key, false)
end

for place = 2, #ARGV, 3 do
  local refusal = writes[ARGV[place]](ARGV[place + 1], ARGV[place + 2])
  if refusal then
    return refusal
  end
end
for _, changed in ipairs(tables) do
  changed.write()
end
