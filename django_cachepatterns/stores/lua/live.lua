-- Reads cached rows of some members together with what waits for them, where that is all there is to
-- know: where no sealed batch waits, the active one is in no row yet.
--
-- KEYS[1..3]  see batches.lua
-- KEYS[4..]   the entries of the members' rows
-- ARGV[1]     the epoch of the server: an active batch of an earlier run may be in the rows
-- ARGV[2..]   members
--
-- Returns the entries and then the values, or nothing where more has to be known.
if redis.call('LLEN', KEYS[3]) > 0 then return false end
local born = redis.call('HGET', KEYS[2], 'epoch')
if born and born ~= ARGV[1] then return false end
if not born and redis.call('EXISTS', KEYS[1]) == 1 then return false end
local found = redis.call('MGET', unpack(KEYS, 4))
for _, value in ipairs(redis.call('HMGET', KEYS[1], unpack(ARGV, 2))) do
  found[#found + 1] = value
end
return found
