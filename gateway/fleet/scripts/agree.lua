-- Writes down which server the fleet goes by. KEYS: the say, the server. ARGV: who has it, the server's run id.
-- Returns whether that was written: not where somebody else has the say by now.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[1])
return 1
