-- The fleet's clock is at a moment, or past it. KEYS: clock, as the turn script has it. ARGV: the moment in
-- microseconds.
local time = redis.call('TIME')
local at = time[1] * 1000000 + time[2]
local last, latest = struct.unpack('>dd', redis.call('GET', KEYS[1]) or struct.pack('>dd', at, at))
redis.call('SET', KEYS[1], struct.pack('>dd', last, math.max(latest, tonumber(ARGV[1]))))
return 1
