-- Seals the active batch of a buffer, where no sealed one waits already: that is resumed first.
--
-- KEYS, ARGV[1..4]  see batches.lua
-- ARGV[5]  '1': seal whatever waits
--
-- Returns the ids of the batches that wait, oldest first.
if ARGV[5] == '1' or call('LLEN', KEYS[3]) == 0 then seal() end
return call('LRANGE', KEYS[3], 0, -1)
