-- Puts records back that Redis has lost, with all that they did, in the order of their numbers: all of them or none.
-- KEYS: sequence, records, holders, open of the shard. ARGV: the number before the first record, the prefix of the
-- shard's cap windows, what is put back (ledger/putting_back.py); each balance with the prefix of its own shard.
-- Returns the shard's number as it is then; another one than expected means that nothing was done.
local number = redis.call('GET', KEYS[1])
if not number or number ~= ARGV[1] then return tonumber(number or -1) end

local told = cjson.decode(ARGV[3])
for _, entry in ipairs(told.entries) do
  redis.call('XADD', KEYS[2], entry[1], 's', entry[2], 'g', entry[3])
  number = entry[2]
end
redis.call('SET', KEYS[1], number)

local NOBODY = struct.pack('>dddddddd', 0, 0, 0, 0, 0, -1, 0, 0)
local PERIOD, GIVEN = 6, 7
for _, row in ipairs(told.balances) do
  local key = row[9] .. 'balance:' .. row[1]
  redis.call('SADD', row[9] .. 'holders', row[1])
  local columns = {struct.unpack('>dddddddd', redis.call('GET', key) or NOBODY)}
  for at = 1, 5 do columns[at] = columns[at] + row[at + 1] end
  if row[7] ~= '' then columns[PERIOD], columns[GIVEN] = row[7], row[8] end
  redis.call('SET', key, struct.pack('>dddddddd', unpack(columns, 1, 8)))
end
for _, pair in ipairs(told.opened) do redis.call('HSET', KEYS[4], pair[1], pair[2]) end
for _, force in ipairs(told.forced) do redis.call('ZADD', ARGV[2] .. force[1], force[2], force[3]) end
for _, id in ipairs(told.closed) do redis.call('HDEL', KEYS[4], id) end
return tonumber(number)
