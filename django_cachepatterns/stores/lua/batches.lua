-- What every script that writes into a buffer begins with: the active batch, its birth, its sealing.
--
-- KEYS[1]  the active batch: a hash by member
-- KEYS[2]  what is known of it: a hash of id, epoch (the run of the server that it was born in),
--          since (when, in milliseconds of this server's clock) and sum
-- KEYS[3]  the queue: a list of the ids of sealed batches, oldest first
-- ARGV[1]  what the keys of sealed batches begin with; the id follows
-- ARGV[2]  id for a batch that is born now
-- ARGV[3]  the epoch of the server that the caller talks to
-- ARGV[4]  members that a batch may have
--
-- A batch has its id from birth, and none outlives a restart of the server as the active one: a
-- server that comes back with old data has batches that may have reached the database meanwhile, and
-- what is counted from now on must not go with them.
local call, pcall = redis.call, redis.pcall
local born = 0

local function new_id()
  born = born + 1
  if born == 1 then return ARGV[2] end
  return string.sub(redis.sha1hex(ARGV[2] .. born), 1, 32)
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

-- Sees to it that there is an active batch of this run of the server.
local function be_born()
  if call('HGET', KEYS[2], 'epoch') == ARGV[3] then return end
  seal()
  local time = call('TIME')
  local now = string.format('%013.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  call('HSET', KEYS[2], 'id', new_id(), 'epoch', ARGV[3], 'since', now, 'sum', 0)
end

-- Whether so many members wait that no more may.
local function is_full(most)
  if most == 0 then return false end
  local rows, queued = call('HLEN', KEYS[1]), call('LRANGE', KEYS[3], 0, -1)
  for _, id in ipairs(queued) do rows = rows + call('HLEN', ARGV[1] .. id) end
  return rows >= most
end

local function seal_if_large()
  if call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then seal() end
end
