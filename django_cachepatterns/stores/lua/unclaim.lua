#!lua flags=allow-oom
-- Gives a claim up, if it still stands.
--
-- KEYS[1]  the claim
-- KEYS[2]  the number of flushes that have failed since the last one that did not
-- ARGV[1]  the claimant's token
-- ARGV[2]  milliseconds to wait after a first failure; 0: the flush has not failed
-- ARGV[3]  the longest wait, in milliseconds
--
-- A failed flush leaves the claim to nobody, for twice as long each time: a database that is away is
-- not asked by every flusher in turn. Returns the milliseconds of that wait.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
local first = tonumber(ARGV[2])
if first == 0 then
  redis.call('DEL', KEYS[1], KEYS[2])
  return 0
end
local failed = redis.call('INCR', KEYS[2])
local wait = math.min(first * 2 ^ math.min(failed - 1, 20), tonumber(ARGV[3]))
redis.call('PEXPIRE', KEYS[2], 10 * tonumber(ARGV[3]))
redis.call('SET', KEYS[1], '', 'PX', string.format('%.0f', wait))
return wait
