-- Adds to counts, in the active batch of a buffer.
--
-- KEYS, ARGV[1..4]  see batches.lua
-- KEYS[4]  the operation's id, as a key
-- ARGV[5]  members that may wait; 0: any number
-- ARGV[6]  milliseconds that the operation is remembered; 0: it has no id
-- ARGV[7]  the sum of all amounts
-- ARGV[2i], [2i+1] from 8 on: a member, and an amount
--
-- Returns 1 (counted), 0 (this operation was counted before) or -1 (full).
local remembered = tonumber(ARGV[6])
if remembered > 0 and call('EXISTS', KEYS[4]) == 1 then return 0 end
if is_full(tonumber(ARGV[5])) then return -1 end
be_born()
for at = 8, #ARGV, 2 do
  local added = pcall('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
  if type(added) == 'table' and added.err then
    -- More than a count can hold. The rest of it goes into the next batch.
    seal()
    be_born()
    call('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
  end
end
pcall('HINCRBY', KEYS[2], 'sum', ARGV[7])
if remembered > 0 then call('SET', KEYS[4], '1', 'PX', remembered) end
seal_if_large()
return 1
