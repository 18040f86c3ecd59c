-- Begins to look members up in the database: what waits for them, at one moment.
--
-- KEYS, ARGV[1..8]  see batches.lua and scores.lua
-- KEYS[9]    the number of the last look
-- ARGV[9]    '1': only those members that have to be looked at
-- ARGV[10..] members
--
-- Returns nothing where there is no board; one that is being rebuilt looks at these members when it is
-- done. Else the id of the active batch, the number of this look, the members, and for each sealed
-- batch, oldest first, a list of its id and its changes of these members.
be_born()
local rebuilt = string.sub(call('GET', KEYS[8]) or '', 1, 8) == 'rebuild:'
local has_board = call('EXISTS', board) == 1
if not has_board and not rebuilt then
  call('DEL', KEYS[6]) -- Who builds one will read the database later than now.
  return {}
end
local number = call('INCR', KEYS[9])
local members, batches = {}, {}
for at = 10, #ARGV do
  local member = ARGV[at]
  if ARGV[9] ~= '1' or call('HEXISTS', KEYS[6], member) == 1 then
    call('HSET', KEYS[6], member, number)
    members[#members + 1] = member
  end
end
if not has_board then return {} end
if #members > 0 then
  for _, id in ipairs(call('LRANGE', KEYS[3], 0, -1)) do
    local changes = call('HMGET', ARGV[1] .. id, unpack(members))
    table.insert(changes, 1, id)
    batches[#batches + 1] = changes
  end
end
return {call('HGET', KEYS[2], 'id'), number, members, batches}
