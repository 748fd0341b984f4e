-- A copy of the register of refreshes takes the place of the one before it, and of the entries up to it; or it puts back
-- what this server has lost of the register.
-- KEYS: epoch, head, stream, the copy (a list of its parts). ARGV: server, number and id of the copy's last round,
-- bytes of the copy, number and id of the latest round that must be the fleet's where it puts back, entries kept before it.
-- Returns 1 where it has. One that puts back does so only before the fleet agrees on this server.
local putting_back = ARGV[5] ~= ''
if (redis.call('GET', KEYS[1]) == ARGV[1]) == putting_back then return 0 end
local head = redis.call('HMGET', KEYS[2], 'number', 'round', 'copied', 'copy')
local number = tonumber(ARGV[2])
if putting_back then
  if (head[1] or '0') ~= ARGV[5] or (head[2] or '') ~= ARGV[6] then return 0 end
  redis.call('DEL', KEYS[3])
  redis.call('HSET', KEYS[2], 'number', ARGV[2], 'round', ARGV[3])
elseif tonumber(head[3] or '0') >= number or tonumber(head[1] or '0') < number then
  return 0
end
redis.call('HSET', KEYS[2], 'copied', ARGV[2], 'copy', KEYS[4], 'size', ARGV[4], 'bytes', 0)
redis.call('PERSIST', KEYS[4])
-- Whoever is reading the former one may finish.
if head[4] and head[4] ~= KEYS[4] then redis.call('EXPIRE', head[4], 60) end
if not putting_back then redis.call('XTRIM', KEYS[3], 'MINID', math.max(number - tonumber(ARGV[7]), 0) .. '-0') end
return 1
