-- Puts a part of the made keys back that Redis has lost; of several nodes' the latest version wins.
-- KEYS: keys, the hash that the part is of. ARGV: the version put back, "1" for its last part, then fields and values.
-- Returns 0 where Redis has that version, or a later one is being put back.
local version = tonumber(ARGV[1])
local held = redis.call('HMGET', KEYS[1], 'version', 'restoring')
if version <= tonumber(held[1] or '0') or version < tonumber(held[2] or '0') then return 0 end
redis.call('HSET', KEYS[1], 'restoring', ARGV[1])
for place = 3, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[place], ARGV[place + 1]) end
if ARGV[2] == '1' then
  redis.call('HSET', KEYS[1], 'version', ARGV[1])
  redis.call('HDEL', KEYS[1], 'restoring', 'word')
end
return 1
