-- Some of a shard's balances summed up. KEYS: sequence, holders. ARGV: the prefix of its balances, where to go on ("0"
-- at first), how many at a time.
-- Returns its number, where to go on ("0" at the end), granted, charged, reserved, lapsed and balance over these, the
-- tokens that columns of one balance cannot account for, all as text; and whose they are.
local NOBODY = struct.pack('>ddddd', 0, 0, 0, 0, 0)
local sums, drift = {0, 0, 0, 0, 0}, 0
local found = redis.call('SSCAN', KEYS[2], ARGV[2], 'COUNT', ARGV[3])
for _, holder in ipairs(found[2]) do
  local row = {struct.unpack('>ddddd', redis.call('GET', ARGV[1] .. holder) or NOBODY)}
  local left = 0
  for at = 1, 5 do
    local amount = row[at]
    sums[at] = sums[at] + amount
    left = at == 1 and amount or left - amount
    if at > 1 and amount < 0 then drift = drift - amount end
  end
  drift = drift + math.abs(left)
end
local told = {redis.call('GET', KEYS[1]) or '0', found[1]}
for at = 1, 5 do told[at + 2] = string.format('%.0f', sums[at]) end
told[8] = string.format('%.0f', drift)
told[9] = found[2]
return told
