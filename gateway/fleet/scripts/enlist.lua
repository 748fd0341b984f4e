-- Keeps a node in the fleet: gives it a number of its own, and renews its heartbeat.
-- KEYS: version, incarnations, nodes, heartbeat (of ARGV[3]). ARGV: layout, this process's own word, incarnation or 0,
-- milliseconds the heartbeat lasts, the heartbeats' prefix.
-- Returns {layout, incarnation}; another layout than the node's leaves everything as it was.
local layout = redis.call('GET', KEYS[1])
if not layout then
  redis.call('SET', KEYS[1], ARGV[1])
elseif layout ~= ARGV[1] then
  return {layout, 0}
end

local incarnation = tonumber(ARGV[3])
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
if incarnation > 0 then
  local owner = redis.call('GET', KEYS[4])
  if owner and owner ~= ARGV[2] then incarnation = 0 end
end
if incarnation == 0 then
  -- Not only one more than the last: a failover may have lost that one, and a number must never come again.
  local seconds = tonumber(redis.call('TIME')[1]) - 1767225600
  incarnation = math.max(last + 1, seconds)
end
if incarnation > last then redis.call('SET', KEYS[2], string.format('%d', incarnation)) end
redis.call('SADD', KEYS[3], string.format('%d', incarnation))
redis.call('SET', ARGV[5] .. string.format('%d', incarnation), ARGV[2], 'PX', ARGV[4])
return {ARGV[1], incarnation}
