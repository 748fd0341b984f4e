-- What became of a node's last call, whose answer was lost; one that has not been executed by now never will be.
-- KEYS: epoch, call. ARGV: epoch, the number of the lost call.
-- Gives {its reply} as the turn script gave it, or {} where it was not executed.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('EPOCH the fleet goes by another server') end
local stored = redis.call('GET', KEYS[2])
if not stored then
  -- Without a record the clock's moment is unknown: the next call goes by Redis's own.
  redis.call('SET', KEYS[2], '0 ' .. ARGV[2] .. ' 0\n')
  return {}
end
local executed, fence, moment, reply = string.match(stored, '^(%d+) (%d+) (%d+)\n(.*)$')
if tonumber(executed) == tonumber(ARGV[2]) then return {cmsgpack.unpack(reply)} end
if tonumber(fence) < tonumber(ARGV[2]) then
  redis.call('SET', KEYS[2], executed .. ' ' .. ARGV[2] .. ' ' .. moment .. '\n' .. reply)
end
return {}
