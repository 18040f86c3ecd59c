-- Begins a rebuild, under the claim: seals the active batch and makes the new board.
--
-- KEYS, ARGV[1..4]  see batches.lua
-- KEYS[4]  the new board
-- ARGV[5]  milliseconds after which it lapses
--
-- Returns the ids of the batches that wait, oldest first.
seal()
call('DEL', KEYS[4])
call('ZADD', KEYS[4], '+inf', '\255')
call('PEXPIRE', KEYS[4], ARGV[5])
return call('LRANGE', KEYS[3], 0, -1)
