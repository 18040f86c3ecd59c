-- Reads figures as they are at one moment.
--
-- KEYS     hashes of figures that were rolled up
-- ARGV[1]  what the keys of minutes begin with
-- ARGV[2]  the key of the first minute that is not rolled up
-- ARGV[3]  the first second that is asked for
-- ARGV[4]  the time in seconds, where it is not the server's; empty: it is
-- ARGV[5]  how many figures of minutes are enough: the server is not held up for long
-- ARGV[6]  the only field of KEYS that is asked for, after a colon; empty: all of them
--
-- Returns the first minute that is not rolled up, the minute that it is, the minute to go on with
-- where these were enough (else 0), for each minute its number and its fields and values, and for
-- each key its fields and values, or the value of the one field.
local now = tonumber(ARGV[4]) or tonumber(redis.call('TIME')[1])
local rolled = tonumber(redis.call('GET', ARGV[2])) or 0
local last, most = math.floor(now / 60), tonumber(ARGV[5])
local minutes, blocks, next, count = {}, {}, 0, 0
for minute = math.max(rolled, math.floor(tonumber(ARGV[3]) / 60), last - 26 * 60), last do
  local found = redis.call('HGETALL', ARGV[1] .. string.format('%d', minute))
  if #found > 0 then minutes[#minutes + 1] = {minute, found} end
  count = count + #found / 2
  if count >= most and minute < last then
    next = minute + 1
    break
  end
end
local field = string.sub(ARGV[6], 2)
for at, key in ipairs(KEYS) do
  if ARGV[6] == '' then
    blocks[at] = redis.call('HGETALL', key)
  else
    blocks[at] = redis.call('HGET', key, field)
  end
end
return {rolled, last, next, minutes, blocks}
