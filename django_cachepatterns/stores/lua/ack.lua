-- Takes a batch that has reached the database out of the queue, if it is still there.
--
-- KEYS[1]  the queue
-- KEYS[2]  the sealed batch
-- KEYS[3]  what is known of it
-- ARGV[1]  its id
--
-- Returns 1, or 0 where somebody else has done so.
redis.call('UNLINK', KEYS[2], KEYS[3])
return redis.call('LREM', KEYS[1], 1, ARGV[1])
