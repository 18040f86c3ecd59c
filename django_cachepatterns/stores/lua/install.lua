-- Write-through: stores what a transaction wrote in the place of its mark, if the mark is as it was
-- seen before the row was read again. If it is not, another transaction has begun meanwhile, and what
-- was read may be older than what that one wrote: then only this one's part of the mark is taken out.
--
-- KEYS[1]  the entry
-- ARGV[1]  the mark that was seen
-- ARGV[2]  id of the transaction, 16 bytes
-- ARGV[3]  the value entry
-- ARGV[4]  its lifetime in milliseconds
--
-- Returns 1 (stored) or 0.
local call, pcall, sub = redis.call, redis.pcall, string.sub
local old = pcall('GET', KEYS[1])
if old == ARGV[1] then
  call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
  return 1
end
if type(old) == 'string' and sub(old, 1, 1) == 'W' then
  local time = call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  local others, longest = {}, 0
  for at = 2, #old - 28, 29 do
    local deadline = tonumber(sub(old, at + 16, at + 28)) or 0
    local left = deadline - now
    if left > 0 and sub(old, at, at + 15) ~= ARGV[2] then
      -- Not as it was before this one came, see end_write.lua.
      others[#others + 1] = sub(old, at, at + 15) .. string.format('%013.0f', deadline + 1)
      if left > longest then longest = left end
    end
  end
  if #others > 0 then
    call('SET', KEYS[1], 'W' .. table.concat(others), 'PX', longest)
    return 0
  end
end
call('DEL', KEYS[1])
return 0
