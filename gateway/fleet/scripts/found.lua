-- Sets all that a shard holds to what a book says of it at a number, where Redis is not as far.
-- KEYS: sequence, records, holders, open of the shard. ARGV: the number, its entry's id, the prefixes of the shard's
-- balances and cap windows, what the book says (ledger/putting_back.py).
-- Returns the shard's number as it is then: a larger one than the book's means that nothing was done.
local number = tonumber(redis.call('GET', KEYS[1]) or -1)
if number >= tonumber(ARGV[1]) then return number end

local told = cjson.decode(ARGV[5])
for _, holder in ipairs(redis.call('SMEMBERS', KEYS[3])) do redis.call('DEL', ARGV[3] .. holder) end
redis.call('DEL', KEYS[3], KEYS[4])
for _, row in ipairs(told.balances) do
  redis.call('SET', ARGV[3] .. row[1], struct.pack('>dddddddd', row[2], row[3], row[4], row[5], row[6], row[7], row[8], 0))
  redis.call('SADD', KEYS[3], row[1])
end
for _, pair in ipairs(told.opened) do redis.call('HSET', KEYS[4], pair[1], pair[2]) end
for _, force in ipairs(told.forced) do redis.call('DEL', ARGV[4] .. force[1]) end
for _, force in ipairs(told.forced) do redis.call('ZADD', ARGV[4] .. force[1], force[2], force[3]) end

-- What follows in the stream comes after the entry of this number, whatever the clock says by now.
if #told.entries == 0 and ARGV[2] ~= '0-0' then told.entries = {{ARGV[2], ARGV[1], '[]'}} end
for _, entry in ipairs(told.entries) do
  if tonumber(entry[2]) > number then redis.call('XADD', KEYS[2], entry[1], 's', entry[2], 'g', entry[3]) end
end
redis.call('SET', KEYS[1], ARGV[1])
return tonumber(ARGV[1])
