-- How much of their present grants some balances have used. KEYS: the balances.
-- Returns for each what remains, the period and what was given for it; -1 three times for one that is not there.
local told = {}
for place, packed in ipairs(redis.call('MGET', unpack(KEYS))) do
  local at = 3 * place
  if packed then
    local _, _, reserved, _, balance, period, given = struct.unpack('>ddddddd', packed)
    told[at - 2], told[at - 1], told[at] = balance + reserved, period, given
  else
    told[at - 2], told[at - 1], told[at] = -1, -1, -1
  end
end
return told
