-- The organization in whose shard a holder stays for good: the first it is seen with, or that of whom it takes over.
-- KEYS: homes. ARGV: holder, its organization, the holder it takes over or "".
local home = redis.call('HGET', KEYS[1], ARGV[1])
if home then return home end
home = ARGV[3] ~= '' and redis.call('HGET', KEYS[1], ARGV[3]) or ARGV[2]
redis.call('HSET', KEYS[1], ARGV[1], home)
return home
