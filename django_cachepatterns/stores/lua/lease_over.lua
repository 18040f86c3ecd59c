-- Takes a lease in the place of an entry that its reader could not use (of another schema or
-- server, corrupt, or not ours at all), if that is what still stands there.
--
-- KEYS[1]  the entry
-- ARGV[1]  how the useless entry starts; empty where it is empty or not a string
-- ARGV[2]  the length of the useless entry
-- ARGV[3]  the lease entry
-- ARGV[4]  lifetime of the lease in milliseconds
--
-- Returns nothing where the lease is taken, else the entry that stands there.
local old = redis.pcall('GET', KEYS[1])
if type(old) == 'string' then
  -- By its length, too: a mark that came meanwhile may start as what was seen.
  local same = #old == tonumber(ARGV[2]) and string.sub(old, 1, #ARGV[1]) == ARGV[1]
  if not same then return old end
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return false
