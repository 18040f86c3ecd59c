-- Ends a look: puts on the board what the database says of members, with what waits for them.
--
-- KEYS, ARGV[1..8]  see batches.lua and scores.lua
-- ARGV[9]    the id of the active batch when the look began
-- ARGV[10]   the number of the look
-- ARGV[2i], [2i+1] from 11 on: a member, and its score with what sealed batches make of it; empty:
--            none; 'x': there is no such row
--
-- What waits in the active batch is added here, so that counting does not disturb a look. A member at
-- which somebody began to look later is left to that one. While a board is rebuilt, its members still
-- have to be looked at: the rebuilt one may have older scores.
--
-- Returns 1, or 0 where a batch was born meanwhile: it may be in the database by now.
if call('HGET', KEYS[2], 'id') ~= ARGV[9] then return 0 end
if call('EXISTS', board) == 0 then return 1 end
local rebuilt = string.sub(call('GET', KEYS[8]) or '', 1, 8) == 'rebuild:'
for at = 11, #ARGV, 2 do
  local member, score = ARGV[at], ARGV[at + 1]
  if call('HGET', KEYS[6], member) == ARGV[10] then
    local text = call('HGET', KEYS[1], member)
    local found = nil
    if score ~= 'x' then
      found = tonumber(score)
      if text then found = changed(text, found) end
    end
    if found and found == removed and call('SISMEMBER', KEYS[7], member) == 1 then found = nil end
    place(board, member, found)
    if not rebuilt then call('HDEL', KEYS[6], member) end
  end
end
return 1
