-- Takes leases on many entries that are to be warmed, and leaves alone what needs no warming.
--
-- KEYS       the entries, then the tags that each of them depends on
-- ARGV[1]    the lease entry
-- ARGV[2]    lifetime of the lease in milliseconds
-- ARGV[3]    the tag entry to create where there is none
-- ARGV[4]    how many of KEYS are entries
-- ARGV[5]    how a usable entry starts: state, format, fingerprint, epoch
-- ARGV[6]    empty; or what a refresh begins with, to load usable entries anew, too
--
-- Returns a text of one letter for each entry: L (leased), R (leased, with the old value behind the
-- lease), V (a usable value stands there), B (busy: another loads it) or W (being written); and then
-- the tags. Where a tag is being written every entry is.
local call, pcall, sub = redis.call, redis.pcall, string.sub
local lease, ttl, count, head, refresh = ARGV[1], ARGV[2], tonumber(ARGV[4]), ARGV[5], ARGV[6]
local reply, versions, written = {''}, {}, false

for at = count + 1, #KEYS do
  local tag = call('SET', KEYS[at], ARGV[3], 'NX', 'PX', 86400000, 'GET') or ARGV[3]
  if #tag ~= 17 or sub(tag, 1, 1) ~= 'T' then written = true end
  versions[#versions + 1] = sub(tag, 2)
  reply[#reply + 1] = tag
end
if written then
  reply[1] = string.rep('W', count)
  return reply
end

-- What a usable entry has from its 31st byte on: the versions that it depends on.
local tail = string.char(math.floor(#versions / 256), #versions % 256) .. table.concat(versions)
local size = 29 + #tail

local function take(key)
  if call('SET', key, lease, 'NX', 'PX', ttl) then return 'L' end
  local old = pcall('GETRANGE', key, 0, size)
  if type(old) ~= 'string' then old = '' end
  local state = sub(old, 1, 1)
  if state == 'W' then return 'W' end
  if state == 'R' then return 'B' end
  if state == 'L' then
    if old == lease then return 'L' end  -- One's own: the command was sent again.
    return 'B'
  end
  if sub(old, 1, #head) == head and sub(old, 31) == tail then
    if refresh == '' then return 'V' end
    call('SET', key, refresh .. call('GET', key), 'KEEPTTL')
    return 'R'
  end
  call('SET', key, lease, 'PX', ttl)
  return 'L'
end

local states = {}
for at = 1, count do states[at] = take(KEYS[at]) end
reply[1] = table.concat(states)
return reply
