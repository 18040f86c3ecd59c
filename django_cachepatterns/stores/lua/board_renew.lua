-- Holds the claim of a rebuild for longer, if it still stands. Once it has lapsed, others may have
-- flushed, and the rebuild has to begin anew.
--
-- KEYS[1]  the claim
-- KEYS[2]  the new board
-- ARGV[1]  'rebuild:' and the claimant's token
-- ARGV[2]  milliseconds
--
-- Returns 1, or 0.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
