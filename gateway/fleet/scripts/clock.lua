-- The fleet's clock is at a moment, or past it. KEYS: clock, as the turn script has it. ARGV: the moment in
-- microseconds.
local time = redis.call('TIME')
local at = string.format('%.0f', time[1] * 1000000 + time[2])
local last, latest = string.match(redis.call('GET', KEYS[1]) or at .. ' ' .. at, '^(%d+) (%d+)$')
local now = math.max(tonumber(latest), tonumber(ARGV[1]))
redis.call('SET', KEYS[1], last .. ' ' .. string.format('%.0f', now))
return 1
