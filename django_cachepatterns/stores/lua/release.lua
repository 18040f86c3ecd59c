-- Gives leases up, each only where it still stands.
--
-- KEYS     the entries
-- ARGV[1]  the lease entry
for _, key in ipairs(KEYS) do
  if redis.pcall('GET', key) == ARGV[1] then redis.call('DEL', key) end
end
return #KEYS
