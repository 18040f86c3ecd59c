-- Changes scores, in the active batch and on the board.
--
-- KEYS, ARGV[1..8]      see batches.lua and scores.lua
-- ARGV[3i .. 3i+2] from 9 on: a member, what is done ('+': add, '^': keep the best, '-': remove), and
--                       a number
--
-- Returns 1 (done), 2 (done, and there are members that the board does not have: they have to be looked
-- at in the database), 0 (this operation was carried out before) or -1 (full).
local has_board = call('EXISTS', board) == 1
local has_removed = removed and call('EXISTS', KEYS[7]) == 1
local unknown = false

local function look_at(member)
  call('HSETNX', KEYS[6], member, '0')
  unknown = true
end

local function fits(number)
  return not number or (number <= LARGEST and number >= -LARGEST)
end

local function composed(text, what, number)
  local add, bound, fresh = parse(text)
  if what == '+' then
    add, bound, fresh = add and add + number, bound and bound + number, (fresh or 0) + number
  else
    bound = add and (bound and better(bound, number) or number)
    fresh = fresh and better(fresh, number) or number
  end
  if fits(add) and fits(bound) and fits(fresh) then return text_of(add, bound, fresh) end
end

-- Writes a change into the active batch.
local function wait(member, what, number)
  if what == '-' then
    call('HSET', KEYS[1], member, '=')
    return
  end
  local text = composed(call('HGET', KEYS[1], member), what, number)
  if not text then
    -- More than a number here can hold. The rest of it goes into the next batch.
    seal()
    be_born()
    text = composed(false, what, number)
  end
  call('HSET', KEYS[1], member, text)
end

local function show(member, what, number)
  if what == '-' then
    call('ZREM', board, member)
  elseif what == '+' then
    local by = digits(desc and -number or number)
    if not call('ZADD', board, 'XX', 'INCR', by, member) then look_at(member) end
  else
    local score = score_of(member)
    if not score then
      look_at(member)
    elseif better(score, number) ~= score then
      place(board, member, number)
    end
  end
end

if was_done() then return 0 end
if is_full() then return -1 end
for at = 9, #ARGV, 3 do
  local member, what, number = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  wait(member, what, number)
  if has_board then show(member, what, number) end
  if what == '-' then
    if removed then call('SADD', KEYS[7], member) end
  elseif has_removed then
    call('SREM', KEYS[7], member)
  end
end
is_done()
return unknown and 2 or 1
