-- Drops entries, leases included, so that a load under way is not stored. A mark stays: its
-- transaction is still open, and deletes the entry when it ends.
--
-- KEYS  the entries
--
-- Returns the number of entries that were dropped.
local dropped = 0
for _, key in ipairs(KEYS) do
  local old = redis.pcall('GET', key)
  local mark = type(old) == 'string' and string.sub(old, 1, 1) == 'W' and #old % 29 == 1
  if old and not mark then dropped = dropped + redis.call('DEL', key) end
end
return dropped
