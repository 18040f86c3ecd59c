-- Ends a rebuild: the new board takes the place of the old one, and the claim is given up.
--
-- KEYS, ARGV[1..8]  see batches.lua and scores.lua
-- KEYS[9]    the new board: what the database had at one moment, and what waited when that was read
-- KEYS[10]   the key of the board that was there before
-- ARGV[9]    the token of the claim, without 'rebuild:'
-- ARGV[10]   the epoch of the server that the new board was begun on
-- ARGV[11..] ids of the sealed batches that it has
--
-- What was counted since is in younger batches, of which none can be in the database: nobody else could
-- flush. Members whose rows had no score have to be looked at.
--
-- Returns 1, or 0 where the claim or the new board has been lost.
if call('GET', KEYS[8]) ~= 'rebuild:' .. ARGV[9] then return 0 end
if ARGV[3] ~= ARGV[10] or not call('ZSCORE', KEYS[9], '\255') then return 0 end
local new = KEYS[9]
local known = {}
for at = 11, #ARGV do known[ARGV[at]] = true end

local function add_batch(key)
  local flat = call('HGETALL', key)
  for at = 1, #flat, 2 do
    local member, text = flat[at], flat[at + 1]
    local score = call('ZSCORE', new, member)
    if score then
      score = tonumber(score)
      place(new, member, changed(text, desc and -score or score))
    elseif text ~= '=' or removed then
      call('HSET', KEYS[6], member, '0')
    end
  end
end

for _, id in ipairs(call('LRANGE', KEYS[3], 0, -1)) do
  if not known[id] then add_batch(ARGV[1] .. id) end
end
add_batch(KEYS[1])
if removed then
  for _, member in ipairs(call('SMEMBERS', KEYS[7])) do
    local score = call('ZSCORE', new, member)
    if score and tonumber(score) == tonumber(stored(removed)) then call('ZREM', new, member) end
  end
end
-- Looks that are under way may have read older rows.
for _, member in ipairs(call('HKEYS', KEYS[6])) do call('HSET', KEYS[6], member, '0') end
local before = call('GET', KEYS[10])
if before and before ~= board then call('UNLINK', before) end
call('SET', KEYS[10], board)
call('RENAME', new, board)
call('PERSIST', board)
call('DEL', KEYS[8])
return 1
