-- Keeps an empty Redis for a ledger that moves in. KEYS: who moves in, then what must not be there. ARGV: who asks.
-- Returns who moves in, nobody where something is there.
local owner = redis.call('GET', KEYS[1])
if owner then return owner end
for place = 2, #KEYS do
  if redis.call('EXISTS', KEYS[place]) == 1 then return false end
end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
