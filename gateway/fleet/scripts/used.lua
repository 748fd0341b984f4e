-- How much of their present grants some balances have used. KEYS: the balances.
-- Returns for each what remains, the period and what was given for it; -1 three times for one that is not there.
local told = {}
for place, key in ipairs(KEYS) do
  local row = redis.call('HMGET', key, 'balance', 'reserved', 'period', 'given')
  local at = 3 * place
  if row[1] then
    told[at - 2], told[at - 1], told[at] = row[1] + row[2], tonumber(row[3]), tonumber(row[4])
  else
    told[at - 2], told[at - 1], told[at] = -1, -1, -1
  end
end
return told
