-- Says what waits in a buffer, at one moment.
--
-- KEYS, ARGV[1]  see batches.lua
--
-- Returns, for each batch from the oldest to the active one: its id, the number of its members, its
-- sum, and for how many milliseconds it has been there.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = {}
local function tell(id, key, meta)
  local known = redis.call('HMGET', meta, 'sum', 'since')
  local age = now - (tonumber(known[2]) or now)
  found[#found + 1] = {id, redis.call('HLEN', key), known[1] or '0', age}
end
for _, id in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do
  tell(id, ARGV[1] .. id, ARGV[1] .. id .. '~meta')
end
local active = redis.call('HGET', KEYS[2], 'id')
if active and redis.call('EXISTS', KEYS[1]) == 1 then tell(active, KEYS[1], KEYS[2]) end
return found
