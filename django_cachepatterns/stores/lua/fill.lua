-- Stores loaded values, each only where the loader's lease still stands.
--
-- KEYS             the entries
-- ARGV[1]          the lease entry that must be there, byte for byte
-- ARGV[2i], [2i+1] for KEYS[i]: the value entry, and its lifetime in milliseconds
--
-- Returns a list of 1 (stored) or 0 (refused), one for each key.
local stored = {}
for i, key in ipairs(KEYS) do
  if redis.pcall('GET', key) == ARGV[1] then
    redis.call('SET', key, ARGV[2 * i], 'PX', ARGV[2 * i + 1])
    stored[i] = 1
  else
    stored[i] = 0
  end
end
return stored
