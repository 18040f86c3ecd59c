-- Stores loaded values, each only where the loader's lease still stands.
--
-- KEYS             the entries
-- ARGV[1]          the lease that must be there, byte for byte: a lease entry, or what a refresh
--                  begins with
-- ARGV[2i], [2i+1] for KEYS[i]: the value entry, and its lifetime in milliseconds
--
-- Wakes who waits: each has left its name at the key. Returns a list of 1 (stored) or 0 (refused), one
-- for each key.
local stored = {}
for i, key in ipairs(KEYS) do
  if redis.pcall('GETRANGE', key, 0, #ARGV[1] - 1) == ARGV[1] then
    redis.call('SET', key, ARGV[2 * i], 'PX', ARGV[2 * i + 1])
    stored[i] = 1
    local waiting = tonumber(redis.pcall('SCARD', key .. '~waiting')) or 0
    if waiting > 0 then
      redis.pcall('DEL', key .. '~waiting')
      for _ = 1, waiting do redis.pcall('RPUSH', key .. '~wake', '') end
      redis.pcall('PEXPIRE', key .. '~wake', 1000)
    end
  else
    stored[i] = 0
  end
end
return stored
