-- Puts minutes that were rolled up in their place, unless another has done so meanwhile.
--
-- KEYS[1]  the key of the first minute that is not rolled up
-- ARGV[1]  that minute as it was read; 0 where there was none
-- ARGV[2]  that minute as it is now
-- ARGV[3]  how many keys of minutes follow, which are dropped
-- the rest, in fours: a key, the seconds that it is kept, a field, and its value
--
-- Returns 1, or 0 where another was first.
if (redis.call('GET', KEYS[1]) or '0') ~= ARGV[1] then return 0 end
local minutes = 3 + tonumber(ARGV[3])
local kept = {}
for at = minutes + 1, #ARGV, 4 do
  redis.call('HSET', ARGV[at], ARGV[at + 2], ARGV[at + 3])
  kept[ARGV[at]] = ARGV[at + 1]
end
for key, seconds in pairs(kept) do redis.call('EXPIRE', key, seconds) end
for at = 4, minutes do redis.call('UNLINK', ARGV[at]) end
redis.call('SET', KEYS[1], ARGV[2])
return 1
