-- What the scripts of leaderboards begin with, after batches.lua: changes of scores, and the board.
--
-- KEYS[5]   what the board's key begins with; the epoch follows, because a server that comes back with
--           old data has an old board
-- KEYS[6]   a hash of the members that have to be looked at in the database: for each the number of
--           the look that is under way, 0 where there is none
-- KEYS[7]   a set of the members that were removed, where the column cannot be NULL
-- KEYS[8]   the claim: while a board is rebuilt, it begins with 'rebuild:'
-- ARGV[7]   'desc' or 'asc': whether the highest or the lowest score is the best
-- ARGV[8]   the score of a row that has been removed; empty: none
--
-- A change that waits is a text:
--   '3'           3 is added to the score; no score becomes 3
--   '3:900:903'   3 is added, and what is not as good as 900 becomes that; no score becomes 903
--   '=57', '='    the score becomes 57, or what a removed row has
-- The board is a sorted set. With 'desc' it has the scores negated, so that the best comes first, and
-- of equal ones the member that sorts first. A last member, which is nobody's, is there in an
-- empty board, too.
local desc = ARGV[7] == 'desc'
local removed = tonumber(ARGV[8])
local board = KEYS[5] .. string.format(string.rep('%02x', #ARGV[3]), string.byte(ARGV[3], 1, -1))
local LARGEST = 2 ^ 53

local function better(one, other)
  if desc then return math.max(one, other) end
  return math.min(one, other)
end

local function digits(number)
  if number == 0 then number = 0 end -- Not -0.
  return string.format('%.0f', number)
end

local function stored(score)
  return digits(desc and -score or score)
end

local function score_of(member)
  local found = call('ZSCORE', board, member)
  if not found then return nil end
  found = tonumber(found)
  return desc and -found or found
end

-- A change as three numbers: what is added (nil: the score is set), what it becomes at least or at
-- most, and what no score becomes.
local function parse(text)
  if not text then return 0, nil, nil end
  if string.sub(text, 1, 1) == '=' then return nil, nil, tonumber(string.sub(text, 2)) or removed end
  local add, bound, fresh = string.match(text, '^(.-):(.-):(.-)$')
  if not add then
    local number = tonumber(text) or 0 -- What cannot be read is the flush's business.
    return number, nil, number
  end
  return tonumber(add) or 0, tonumber(bound), tonumber(fresh)
end

local function text_of(add, bound, fresh)
  if not add then return '=' .. (fresh and digits(fresh) or '') end
  if not bound then return digits(add) end
  return digits(add) .. ':' .. digits(bound) .. ':' .. digits(fresh)
end

-- What a change makes of a score; nil: there is none.
local function changed(text, score)
  local add, bound, fresh = parse(text)
  if not add or not score then return fresh end
  score = score + add
  return bound and better(score, bound) or score
end

-- Puts a member on a board, or takes it off.
local function place(key, member, score)
  if score then
    call('ZADD', key, stored(score), member)
  else
    call('ZREM', key, member)
  end
end
