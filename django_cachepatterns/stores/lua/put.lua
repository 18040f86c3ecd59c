-- Puts values of rows into the active batch of a buffer; for each value, the last one stays.
--
-- KEYS, ARGV[1..6]  see batches.lua; the members of a batch are its values, each of a column and a row
-- ARGV[7]  how many columns the buffer has
-- ARGV[8..]  their names, and then for each row: its key, the number of its values, and for each value
--            its column and itself
--
-- The batch's sum is the number of its rows.
--
-- Returns 1 (put), 0 (this operation was carried out before) or -1 (full).
if was_done() then return 0 end
local columns = {unpack(ARGV, 8, 7 + ARGV[7])}
local first = 8 + ARGV[7]

local function has(batch, row)
  for _, column in ipairs(columns) do
    if call('HEXISTS', batch, column .. ':' .. row) == 1 then return true end
  end
  return false
end

-- Whether something of every row waits already. It must not be overtaken by what goes around a full
-- buffer.
local function all_wait()
  local batches = {KEYS[1]}
  for _, id in ipairs(call('LRANGE', KEYS[3], 0, -1)) do batches[#batches + 1] = ARGV[1] .. id end
  local at = first
  while at <= #ARGV do
    local waits = false
    for _, batch in ipairs(batches) do waits = waits or has(batch, ARGV[at]) end
    if not waits then return false end
    at = at + 2 + 2 * ARGV[at + 1]
  end
  return true
end

if is_full() and not all_wait() then return -1 end
local rows, at = 0, first
while at <= #ARGV do
  local row, values, pairs_ = ARGV[at], ARGV[at + 1], {}
  if not has(KEYS[1], row) then rows = rows + 1 end
  for each = at + 2, at + 2 * values, 2 do
    pairs_[#pairs_ + 1] = ARGV[each] .. ':' .. row
    pairs_[#pairs_ + 1] = ARGV[each + 1]
  end
  call('HSET', KEYS[1], unpack(pairs_))
  at = at + 2 + 2 * values
end
call('HINCRBY', KEYS[2], 'sum', rows)
is_done()
return 1
