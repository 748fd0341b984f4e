-- What the items have changed.
local writes, written = {KEYS[3], clock, false, false, false, false, false, false}, 2
for key, columns in pairs(accounts) do
  if columns[CHANGED] then
    writes[written + 1] = key
    writes[written + 2] = struct_pack('>dddddddd', unpack(columns, 1, 8))
    written = written + 2
    if columns[NEW] then
      local prefix = columns[PREFIX]
      redis.call('SADD', prefix .. 'holders', string.sub(key, #prefix + #'balance:' + 1))
    end
  end
end
for key, state in pairs(buckets) do
  if state[TAKEN] then
    writes[written + 1] = key
    writes[written + 2] = struct_pack('>dd', state[LEVEL], state[MOMENT])
    written = written + 2
  end
end
for prefix, parts in pairs(shards) do
  local key = prefix .. 'sequence'
  local sequence = whole((stored(key) or 0) + 1)
  writes[written + 1], writes[written + 2] = key, sequence
  written = written + 2
  parts[#parts + 1] = ']'
  redis.call('XADD', prefix .. 'records', '*', 's', sequence, 'g', table.concat(parts))
end

-- The call's record has no expiry, so that it is never evicted: it keeps a call from being executed twice.
numbers[4] = total
local told = struct_pack('<' .. string.rep('i8', total), unpack(numbers, 1, total))
writes[written + 1], writes[written + 2] = KEYS[2], behind and told .. cmsgpack.pack(lacking) or told
redis.call('MSET', unpack(writes, 1, written + 2))
return {told, unpack(lacking)}
