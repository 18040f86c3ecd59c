#!lua flags=allow-oom
-- Claims the flushing of a buffer, or goes on claiming it. A claim saves flushers from doing the same
-- work; that nothing is done twice is the ledger's business. A server that has no memory left for
-- anything else must let itself be flushed.
--
-- KEYS[1]  the claim
-- ARGV[1]  the claimant's token
-- ARGV[2]  milliseconds after which the claim of a flusher that died lapses
-- ARGV[3]  '1': even in the pause after a failed flush
--
-- Returns 1 where it is claimed, else 0.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and (holder ~= '' or ARGV[3] ~= '1') then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
