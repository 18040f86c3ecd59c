#!lua flags=allow-oom
-- Drops entries, leases included, so that a load under way is not stored. A mark stays: its
-- transaction is still open, and deletes the entry when it ends. But it is not what it was before,
-- so that a row which its transaction has read again by now is not installed either (install.lua).
-- Writers whose deadlines have passed are taken out, or these would move on with every drop.
--
-- KEYS  the entries
--
-- Returns the number of entries that were dropped.
local call, sub = redis.call, string.sub
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local dropped = 0

local function changed(mark)
  local writers = {}
  for at = 2, #mark - 28, 29 do
    local deadline = tonumber(sub(mark, at + 16, at + 28)) or 0
    if deadline > now then
      writers[#writers + 1] = sub(mark, at, at + 15) .. string.format('%013.0f', deadline + 1)
    end
  end
  return #writers > 0 and 'W' .. table.concat(writers)
end

for _, key in ipairs(KEYS) do
  -- The first byte says whether it is a mark; a value may be long.
  local mark = redis.pcall('GETRANGE', key, 0, 0) == 'W' and call('GET', key)
  if mark and #mark % 29 == 1 and string.find(sub(mark, 18, 30), '^%d+$') then
    mark = changed(mark)
  else
    mark = false
  end
  if mark then
    redis.pcall('SET', key, mark, 'KEEPTTL')
  else
    dropped = dropped + call('DEL', key)
  end
end
return dropped
