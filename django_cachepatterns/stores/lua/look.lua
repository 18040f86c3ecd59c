-- Reads what waits for some members, in all batches at one moment.
--
-- KEYS, ARGV[1]  see batches.lua
-- ARGV[2..]  members
--
-- Returns, for each batch from the oldest to the active one, a list of its id and its value for each
-- member.
local members = {unpack(ARGV, 2)}
local found = {}
local function read(id, key)
  local values = redis.call('HMGET', key, unpack(members))
  table.insert(values, 1, id)
  found[#found + 1] = values
end
for _, id in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do read(id, ARGV[1] .. id) end
local active = redis.call('HGET', KEYS[2], 'id')
if active then read(active, KEYS[1]) end
return found
