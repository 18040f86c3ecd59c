#!lua flags=allow-oom
-- Takes a transaction out of the marks it stands in. The last one out deletes the entry, and so
-- does one that finds its own mark lost (evicted, flushed, lapsed): what stands there then may
-- have been filled while the transaction was open.
--
-- KEYS     the entries
-- ARGV[1]  id of the transaction, 16 bytes
--
-- Returns the number of entries in which the transaction's mark was lost.
local call, sub = redis.call, string.sub
local time = call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local id, lost, gone = ARGV[1], 0, {}
local head, alone = 'W' .. id, nil

local function take_out(key, old)
  if old and old == alone then
    gone[#gone + 1] = key
    return
  end
  if not old or sub(old, 1, 1) ~= 'W' then
    lost = lost + 1
    gone[#gone + 1] = key
    return
  end
  if #old == 30 and sub(old, 1, 17) == head then alone = old end
  local found, others, longest = false, {}, 0
  for at = 2, #old - 28, 29 do
    if sub(old, at, at + 15) == id then
      found = true
    else
      local deadline = tonumber(sub(old, at + 16, at + 28)) or 0
      local left = deadline - now
      if left > 0 then
        -- A millisecond later, so that the mark is not what it was before this one came: whoever
        -- read the row again under that mark must not store what it found (install.lua).
        others[#others + 1] = sub(old, at, at + 15) .. string.format('%013.0f', deadline + 1)
        if left > longest then longest = left end
      end
    end
  end
  if not found then lost = lost + 1 end
  if #others > 0 then
    call('SET', key, 'W' .. table.concat(others), 'PX', longest)
  else
    gone[#gone + 1] = key
  end
end

-- Few commands, for the end of a flush has many keys; not one, for what stands in the place of lost
-- marks may be long. What is not a string at all reads as nothing.
for first = 1, #KEYS, 50 do
  local stands = call('MGET', unpack(KEYS, first, math.min(first + 49, #KEYS)))
  for at, old in ipairs(stands) do take_out(KEYS[first + at - 1], old) end
end

if #gone > 0 then call('DEL', unpack(gone)) end
return lost
