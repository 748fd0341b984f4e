-- What became of a node's last call, whose answer was lost; one that has not been executed by now never will be.
-- KEYS: epoch, call. ARGV: epoch, the number of the lost call.
-- Gives {its reply} as the turn script gave it, or {} where it was not executed.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('EPOCH the fleet goes by another server') end
local stored, number = redis.call('GET', KEYS[2]), tonumber(ARGV[2])
if not stored then
  -- Without a record the clock's moment is unknown: the next call goes by Redis's own.
  redis.call('SET', KEYS[2], struct.pack('<i8i8i8i8', 0, number, 0, 4))
  return {}
end
local executed, fence, _, total = struct.unpack('<i8i8i8i8', stored)
if executed == number then
  local lacking = string.sub(stored, 8 * total + 1)
  return {{string.sub(stored, 1, 8 * total), unpack(lacking ~= '' and cmsgpack.unpack(lacking) or {})}}
end
if fence < number then
  redis.call('SET', KEYS[2], struct.pack('<i8i8', executed, number) .. string.sub(stored, 17))
end
return {}
