-- Renews a claim, or ends it. KEYS: claim. ARGV: its content, milliseconds that it lasts (0: it ends).
-- One that has expired meanwhile is claimed again, unless it is another's by now.
local held = redis.call('GET', KEYS[1])
if ARGV[2] == '0' then
  if held == ARGV[1] then redis.call('DEL', KEYS[1]) end
elseif not held or held == ARGV[1] then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
