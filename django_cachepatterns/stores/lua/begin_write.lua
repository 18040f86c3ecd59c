#!lua flags=allow-oom
-- Marks entries as being written by a transaction. Whatever stood there (a value, a lease)
-- is gone; other transactions that stand in a mark stay in it.
--
-- KEYS     the entries
-- ARGV[1]  id of the transaction, 16 bytes
-- ARGV[2]  milliseconds until this writer's deadline
--
-- A mark is 'W' and, for each writer, its id and its deadline: 13 decimal digits, milliseconds
-- of this server's clock, so that no two clocks are ever compared. A server that has no memory left
-- takes it all the same: without it, readers would store what the write replaces.
local call, pcall, sub = redis.call, redis.pcall, string.sub
local ttl = tonumber(ARGV[2])
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local id = ARGV[1]
local mine = id .. string.format('%013.0f', now + ttl)
local alone = 'W' .. mine

-- The other writers of a mark that was replaced, put into the new one.
local function join(key, old)
  local others, longest = {}, ttl
  for at = 2, #old - 28, 29 do
    local left = (tonumber(sub(old, at + 16, at + 28)) or 0) - now
    if left > 0 and sub(old, at, at + 15) ~= id then
      others[#others + 1] = sub(old, at, at + 28)
      if left > longest then longest = left end
    end
  end
  if #others > 0 then
    call('SET', key, alone .. table.concat(others), 'PX', longest)
  end
end

for _, key in ipairs(KEYS) do
  -- One command a key, for a flush marks many: most of its time is spent here.
  local old = pcall('SET', key, alone, 'PX', ARGV[2], 'GET')
  if type(old) == 'string' then
    if sub(old, 1, 1) == 'W' then join(key, old) end
  elseif old then
    -- What is not a string at all is replaced like any other value.
    call('SET', key, alone, 'PX', ARGV[2])
  end
end
return #KEYS
