-- What every script that writes into a buffer begins with: the active batch, its birth, its sealing.
--
-- KEYS[1]  the active batch: a hash by member
-- KEYS[2]  what is known of it: a hash of id, epoch (the run of the server that it was born in),
--          since (when, in milliseconds of this server's clock), sum, and queued (the members of all
--          batches that waited when it was born)
-- KEYS[3]  the queue: a list of the ids of sealed batches, oldest first
-- KEYS[4]  the operation's id, as a key
-- ARGV[1]  what the keys of sealed batches begin with; the id follows
-- ARGV[2]  id for a batch that is born now
-- ARGV[3]  the epoch of the server that the caller talks to
-- ARGV[4]  members that a batch has when it is full
-- ARGV[5]  members that may wait in all batches; 0: any number
-- ARGV[6]  milliseconds that the operation is remembered; 0: it has no id
--
-- A batch has its id from birth, and none outlives a restart of the server as the active one: a
-- server that comes back with old data has batches that may have reached the database meanwhile, and
-- what is counted from now on must not go with them.
local call, pcall = redis.call, redis.pcall
local born = 0
local queued

-- A UUID of version 4, as ARGV[2] is: MariaDB takes no other.
local function new_id()
  born = born + 1
  if born == 1 then return ARGV[2] end
  local hash = redis.sha1hex(ARGV[2] .. born)
  return hash:sub(1, 12) .. '4' .. hash:sub(14, 16) .. '8' .. hash:sub(18, 32)
end

-- Puts the active batch into the queue.
local function seal()
  local id = call('HGET', KEYS[2], 'id')
  if call('EXISTS', KEYS[1]) == 1 then
    id = id or new_id()
    call('RENAME', KEYS[1], ARGV[1] .. id)
    if call('EXISTS', KEYS[2]) == 1 then call('RENAME', KEYS[2], ARGV[1] .. id .. '~meta') end
    call('RPUSH', KEYS[3], id)
  elseif id then
    call('DEL', KEYS[2])
  end
end

local function rows_in_queue()
  local rows = 0
  for _, id in ipairs(call('LRANGE', KEYS[3], 0, -1)) do
    rows = rows + call('HLEN', ARGV[1] .. id)
  end
  return rows
end

-- Sees to it that there is an active batch of this run of the server.
local function be_born()
  local known = call('HMGET', KEYS[2], 'epoch', 'queued')
  queued = tonumber(known[2]) or 0
  if known[1] == ARGV[3] then return end
  seal()
  queued = rows_in_queue()
  local time = call('TIME')
  local now = string.format('%013.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  call('HSET', KEYS[2], 'id', new_id(), 'epoch', ARGV[3], 'since', now, 'sum', 0, 'queued', queued)
end

-- Makes room for more members in the active batch. Returns whether there is none, because as many
-- wait as may.
local function is_full()
  be_born()
  local rows, most = call('HLEN', KEYS[1]), tonumber(ARGV[5])
  if rows >= tonumber(ARGV[4]) then
    seal()
    be_born()
    rows = 0
  end
  -- What waited in the queue may have left it since: it is counted only where that matters.
  return most > 0 and rows + queued >= most and rows + rows_in_queue() >= most
end

-- Whether the operation was carried out before.
local function was_done()
  return ARGV[6] ~= '0' and call('EXISTS', KEYS[4]) == 1
end

local function is_done()
  if ARGV[6] ~= '0' then call('SET', KEYS[4], '1', 'PX', ARGV[6]) end
end
