-- Renews leases.
-- KEYS: lease and fence of each. ARGV: milliseconds of lease and of fence, then the owner of each.
-- Returns their tokens, 0 for one that is not the owner's.
local tokens = {}
for at = 1, #KEYS / 2 do
  local lease, fence = KEYS[2 * at - 1], KEYS[2 * at]
  local held = redis.call('HMGET', lease, 'owner', 'token')
  if held[1] == ARGV[at + 2] then
    redis.call('PEXPIRE', lease, ARGV[1])
    redis.call('PEXPIRE', fence, ARGV[2])
    tokens[at] = held[2]
  else
    tokens[at] = '0'
  end
end
return tokens
