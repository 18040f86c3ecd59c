-- Adds to counts, in the active batch of a buffer.
--
-- KEYS, ARGV[1..6]  see batches.lua
-- ARGV[7]  the sum of all amounts
-- ARGV[2i], [2i+1] from 8 on: a member, and an amount
--
-- Returns 1 (counted), 0 (this operation was counted before) or -1 (full).
if was_done() then return 0 end
if is_full() then return -1 end
for at = 8, #ARGV, 2 do
  local added = pcall('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
  if type(added) == 'table' and added.err then
    -- Without memory the first write is refused, and nothing was done; after it none is.
    if string.sub(added.err, 1, 3) == 'OOM' then return added end
    -- More than a count can hold. The rest of it goes into the next batch.
    seal()
    be_born()
    call('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
  end
end
pcall('HINCRBY', KEYS[2], 'sum', ARGV[7])
is_done()
return 1
