-- Takes the lease to refresh a value, if what was seen is what still stands there. The value stays
-- where it is, behind the lease, and goes on being served; its lifetime stays, too.
--
-- KEYS[1]  the entry
-- ARGV[1]  how the entry starts that was seen: a value, or a refresh that has failed
-- ARGV[2]  the length of that entry
-- ARGV[3]  what a refresh begins with: 'R', the token of the lease, 8 bytes of deadline
--
-- Returns 1 where the lease is taken, else 0.
local old = redis.pcall('GET', KEYS[1])
if type(old) ~= 'string' or #old ~= tonumber(ARGV[2]) then return 0 end
if string.sub(old, 1, #ARGV[1]) ~= ARGV[1] then return 0 end
if string.sub(old, 1, 1) == 'R' then old = string.sub(old, #ARGV[3] + 1) end
redis.call('SET', KEYS[1], ARGV[3] .. old, 'KEEPTTL')
return 1
