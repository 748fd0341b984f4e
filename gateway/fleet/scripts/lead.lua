-- Gives a node the say, where the fleet goes by another server and nobody has it. KEYS: the say, the server.
-- ARGV: who asks, the server's run id, milliseconds it may take. Returns whether the node has the say now.
if redis.call('GET', KEYS[2]) == ARGV[2] then return 0 end
return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[3]) and 1 or 0
