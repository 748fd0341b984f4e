-- The items in their order, then what they have changed.
local replies, place = {}, 7 + 3 * added
while ARGV[place] do
  local item = cjson.decode(ARGV[place])
  if item[1] == 'keep' then
    place = place + 1
    raw = ARGV[place]
  end
  local reply = items[item[1]](item, place)
  if reply then
    before = reply
    replies[#replies + 1] = reply
  end
  place = place + 1
end

for key, columns in pairs(accounts) do
  if columns.changed then
    redis.call('HSET', key, 'granted', columns[1], 'charged', columns[2], 'reserved', columns[3], 'lapsed', columns[4],
      'balance', columns[5], 'period', columns[6], 'given', columns[7])
    if columns.new then redis.call('SADD', columns.prefix .. 'holders', columns.holder) end
  end
end
for _, state in pairs(buckets) do
  if state.changed then
    redis.call('HSET', state.key, state.policy, string.format('%.0f %.0f', state.level, state.moment))
  end
end
for prefix, entries in pairs(shards) do
  local sequence = redis.call('INCR', prefix .. 'sequence')
  redis.call('XADD', prefix .. 'records', '*', 's', sequence, 'g', '[' .. table.concat(entries, ',') .. ']')
end

-- Without an expiry, so that it is never evicted: it is what keeps a call from being executed twice.
local reply = {first, lacking, replies}
redis.call('SET', KEYS[2], ARGV[2] .. ' 0 ' .. whole(now) .. '\n' .. cmsgpack.pack(reply))
return reply
