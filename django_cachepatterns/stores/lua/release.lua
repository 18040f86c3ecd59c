-- Gives leases up, each only where it still stands, and wakes who waits for them.
--
-- KEYS     the entries
-- ARGV[1]  the lease: a lease entry, or what a refresh begins with (then its value goes, too)
for _, key in ipairs(KEYS) do
  if redis.pcall('GETRANGE', key, 0, #ARGV[1] - 1) == ARGV[1] then
    redis.call('DEL', key)
    local waiting = tonumber(redis.pcall('SCARD', key .. '~waiting')) or 0
    if waiting > 0 then
      redis.pcall('DEL', key .. '~waiting')
      for _ = 1, waiting do redis.pcall('RPUSH', key .. '~wake', '') end
      redis.pcall('PEXPIRE', key .. '~wake', 1000)
    end
  end
end
return #KEYS
