-- Marks entries as being written by a transaction. Whatever stood there (a value, a lease)
-- is gone; other transactions that stand in a mark stay in it.
--
-- KEYS     the entries
-- ARGV[1]  id of the transaction, 16 bytes
-- ARGV[2]  milliseconds until this writer's deadline
--
-- A mark is 'W' and, for each writer, its id and its deadline: 13 decimal digits, milliseconds
-- of this server's clock, so that no two clocks are ever compared.
local ttl = tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local mine = ARGV[1] .. string.format('%013.0f', now + ttl)

for _, key in ipairs(KEYS) do
  local old = redis.pcall('SET', key, 'W' .. mine, 'PX', ttl, 'GET')
  if type(old) == 'table' then
    -- Not a string at all: somebody else's key. It is replaced like any other value.
    redis.call('SET', key, 'W' .. mine, 'PX', ttl)
  elseif old and string.sub(old, 1, 1) == 'W' then
    local others, longest = {}, ttl
    for at = 2, #old - 28, 29 do
      local left = (tonumber(string.sub(old, at + 16, at + 28)) or 0) - now
      if left > 0 and string.sub(old, at, at + 15) ~= ARGV[1] then
        others[#others + 1] = string.sub(old, at, at + 28)
        if left > longest then longest = left end
      end
    end
    if #others > 0 then
      redis.call('SET', key, 'W' .. mine .. table.concat(others), 'PX', longest)
    end
  end
end
return #KEYS
