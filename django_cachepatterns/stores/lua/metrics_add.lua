-- Adds what a process has counted to the figures of this minute, once.
--
-- KEYS[1]  where it is remembered what the process has sent last
-- KEYS[2]  the hash of what was counted ever since
-- KEYS[3]  the key of the first minute that is not rolled up
-- KEYS[4]  the names of fragments that are counted, of a month
-- KEYS[5]  those of other families
-- ARGV[1]  the number of what it sends now
-- ARGV[2]  what the keys of minutes begin with
-- ARGV[3]  what the keys of hot keys begin with
-- ARGV[4]  the time in seconds, where it is not the server's; empty: it is
-- ARGV[5]  how many of the following pairs are figures; the rest are hot keys
-- ARGV[2i], [2i+1] from 6 on: a field, or a hot key, and how much it grows by
--
-- A family that is one too many counts as "(other)", whatever process has sent it: names may be made
-- from what users send, and processes that come and go would bring others each time.
--
-- Returns for how many minutes nothing was rolled up; 0 where that number was added before.
local DAY, HOURS, HOTTEST, MOST = 26 * 3600, 3 * 3600, 1000, 100000
if redis.call('GET', KEYS[1]) == ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', DAY)
local now = tonumber(ARGV[4]) or tonumber(redis.call('TIME')[1])
local minute = math.floor(now / 60)
local rolled = tonumber(redis.call('GET', KEYS[3])) or 0
-- A clock that was set back: a little, and what comes now is of the first minute that can still take
-- it; by more, and rolling up begins anew at its time.
if rolled > minute + 60 then
  rolled = minute
  redis.call('SET', KEYS[3], string.format('%d', rolled))
elseif rolled > minute then
  minute = rolled
end
local FAMILIES, MONTH, known = 1000, 30 * DAY, {}
local function is_known(family)
  local names = string.sub(family, 1, 9) == 'fragment ' and KEYS[4] or KEYS[5]
  if redis.call('SISMEMBER', names, family) == 1 then return true end
  local number = redis.call('SCARD', names)
  if number >= FAMILIES then return false end
  redis.call('SADD', names, family)
  if number == 0 then redis.call('EXPIRE', names, MONTH) end
  return true
end
local function counted_as(field)
  local bar = string.find(field, '|', 1, true)
  if not bar then return field end
  local family = string.sub(field, bar + 1)
  if known[family] == nil then known[family] = is_known(family) end
  return known[family] and field or string.sub(field, 1, bar) .. '(other)'
end
local figures = 5 + 2 * tonumber(ARGV[5])
if figures > 5 then
  local key = ARGV[2] .. string.format('%d', minute)
  -- Families may be named by what a page shows: it begins anew before it is too large.
  if redis.call('HLEN', KEYS[2]) > MOST then redis.call('UNLINK', KEYS[2]) end
  for at = 6, figures, 2 do
    local field = counted_as(ARGV[at])
    redis.call('HINCRBY', key, field, ARGV[at + 1])
    redis.call('HINCRBY', KEYS[2], field, ARGV[at + 1])
  end
  redis.call('EXPIRE', key, DAY)
end
if #ARGV > figures then
  local key = ARGV[3] .. string.format('%d', math.floor(now / 3600))
  for at = figures + 1, #ARGV, 2 do redis.call('ZINCRBY', key, ARGV[at + 1], ARGV[at]) end
  redis.call('ZREMRANGEBYRANK', key, 0, -1 - HOTTEST)
  redis.call('EXPIRE', key, HOURS)
end
return minute - rolled
