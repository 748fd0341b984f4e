-- Some of what a shard holds at one moment. KEYS: sequence, records, holders, open. ARGV: the prefix of its balances,
-- where to go on ("0" at first), how many at a time.
-- Returns its number, the id of its stream's last entry, where to go on ("0" at the end), each balance as holder and
-- columns; and with the last of them all that is open.
local NOBODY = struct.pack('>ddddddd', 0, 0, 0, 0, 0, -1, 0)
local found = redis.call('SSCAN', KEYS[3], ARGV[2], 'COUNT', ARGV[3])
local balances = {}
for place, holder in ipairs(found[2]) do
  local row = {holder, struct.unpack('>ddddddd', redis.call('GET', ARGV[1] .. holder) or NOBODY)}
  row[9] = nil
  balances[place] = row
end
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
local open = found[1] == '0' and redis.call('HVALS', KEYS[4]) or {}
return {redis.call('GET', KEYS[1]) or '0', last[1] and last[1][1] or '0-0', found[1], balances, open}
