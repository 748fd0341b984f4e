-- How many living nodes have not seen a version of the made keys; the dead are forgotten.
-- KEYS: seen. ARGV: the version, the heartbeats' prefix.
local behind, seen = 0, redis.call('HGETALL', KEYS[1])
for place = 1, #seen, 2 do
  if tonumber(seen[place + 1]) < tonumber(ARGV[1]) then
    if redis.call('EXISTS', ARGV[2] .. seen[place]) == 1 then
      behind = behind + 1
    else
      redis.call('HDEL', KEYS[1], seen[place])
    end
  end
end
return behind
