-- Takes rows out of a buffer, whatever batch they wait in.
--
-- KEYS[1..3]  see batches.lua
-- ARGV[1]  what the keys of sealed batches begin with; the id follows
-- ARGV[2]  how many columns the buffer has
-- ARGV[3..]  their names, and then the rows' keys
--
-- Returns how many rows were taken out, once for each batch.
local found = 0

local function discard(batch, meta)
  for at = 3 + ARGV[2], #ARGV do
    local members = {}
    for column = 3, 2 + ARGV[2] do members[#members + 1] = ARGV[column] .. ':' .. ARGV[at] end
    if redis.call('HDEL', batch, unpack(members)) > 0 then
      redis.call('HINCRBY', meta, 'sum', -1)
      found = found + 1
    end
  end
end

for _, id in ipairs(redis.call('LRANGE', KEYS[3], 0, -1)) do
  local batch = ARGV[1] .. id
  discard(batch, batch .. '~meta')
  -- A sealed batch that is empty would be taken for one that was evicted.
  if redis.call('EXISTS', batch) == 0 then
    redis.call('LREM', KEYS[3], 1, id)
    redis.call('DEL', batch .. '~meta')
  end
end
discard(KEYS[1], KEYS[2])
return found
