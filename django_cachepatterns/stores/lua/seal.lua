-- Seals the active batch of a buffer, where no sealed one waits already: that is resumed first, so that
-- a database that is away does not leave a batch for each flush that fails.
--
-- KEYS, ARGV[1..4]  see batches.lua
--
-- Returns whether it did (1 or 0), and the ids of the batches that wait, oldest first.
local resumed = call('LLEN', KEYS[3]) > 0
if not resumed then seal() end
return {resumed and 0 or 1, call('LRANGE', KEYS[3], 0, -1)}
