-- Stores loaded values, each only where the loader's lease still stands; fill.lua for many keys at once,
-- with one look at all of them.
--
-- KEYS             the entries, a few hundred at most
-- ARGV[1]          the lease that must be there: a lease entry, byte for byte, or what a refresh
--                  begins with
-- ARGV[2i], [2i+1] for KEYS[i]: the value entry, and its lifetime in milliseconds
--
-- Wakes who waits. Returns a list of 1 (stored) or 0 (refused), one for each key.
local call, sub = redis.call, string.sub
local lease, size = ARGV[1], #ARGV[1]
local stored, waited = {}, {}

local found = call('MGET', unpack(KEYS))
for i, key in ipairs(KEYS) do
  local old = found[i]
  if old and (old == lease or sub(old, 1, size) == lease) then
    call('SET', key, ARGV[2 * i], 'PX', ARGV[2 * i + 1])
    stored[i] = 1
  else
    stored[i] = 0
  end
  waited[i] = key .. '~waiting'
end

local function wake(key)
  local waiting = tonumber(redis.pcall('SCARD', key .. '~waiting')) or 0
  if waiting > 0 then
    redis.pcall('DEL', key .. '~waiting')
    for _ = 1, waiting do redis.pcall('RPUSH', key .. '~wake', '') end
    redis.pcall('PEXPIRE', key .. '~wake', 1000)
  end
end

if call('EXISTS', unpack(waited)) > 0 then
  for i, key in ipairs(KEYS) do
    if stored[i] == 1 then wake(key) end
  end
end
return stored
