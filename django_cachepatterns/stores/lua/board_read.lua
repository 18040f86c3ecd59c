-- Reads a board.
--
-- KEYS[1]  the board
-- ARGV[1]  'range': ARGV[2] and [3] are the first and the last place, from 0
--          'around': ARGV[2] is a member, [3] how many above and below it
--          'rank', 'score': ARGV[2] is a member
--          'size'
--
-- Returns nothing where there is no board. Else, in a list: for 'range' the members and scores in turn,
-- for 'around' the place of the first one and then the same, for the others a number, or nothing where
-- the board does not have the member. The last member of a board is nobody.
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
local what, member = ARGV[1], ARGV[2]
if what == 'size' then return {redis.call('ZCARD', KEYS[1]) - 1} end
if what == 'range' then return redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[3], 'WITHSCORES') end
if what == 'score' then return {redis.call('ZSCORE', KEYS[1], member) or nil} end
local place = redis.call('ZRANK', KEYS[1], member)
if not place then return {} end
if what == 'rank' then return {place} end
local first = math.max(0, place - tonumber(ARGV[3]))
local found = redis.call('ZRANGE', KEYS[1], first, place + tonumber(ARGV[3]), 'WITHSCORES')
table.insert(found, 1, first)
return found
