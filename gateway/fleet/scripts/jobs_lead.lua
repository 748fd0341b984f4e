-- Takes the lead of the fleet's refreshes where nobody has it, or keeps it, or leaves it to others.
-- KEYS: head, leader. ARGV: the node's token, milliseconds of the lease, 0 to leave it.
-- Returns 1 where the token leads. Commands of any other are refused from then on (jobs_round).
local leader = redis.call('GET', KEYS[2])
if leader and leader ~= ARGV[1] then return 0 end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[2])
  return 0
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[1], 'leader', ARGV[1])
return 1
