-- Which nodes are alive, of all that have started and were not forgotten.
-- KEYS: nodes. ARGV: the heartbeats' prefix. Returns {alive, the others}.
local alive, gone = {}, {}
for _, incarnation in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[1] .. incarnation) == 1 then
    alive[#alive + 1] = tonumber(incarnation)
  else
    gone[#gone + 1] = tonumber(incarnation)
  end
end
return {alive, gone}
