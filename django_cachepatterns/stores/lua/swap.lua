-- Puts other bytes in the place of an entry that is byte for byte as it was seen, or deletes it.
-- Never over a mark: that is not what was seen.
--
-- KEYS[1]  the entry
-- ARGV[1]  the entry as it was seen
-- ARGV[2]  what to put there; empty: delete it. Its lifetime stays.
--
-- Returns 1 where it was done, else 0.
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[2], 'KEEPTTL')
end
return 1
