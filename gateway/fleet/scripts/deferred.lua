-- Charges of one shard that were made while Redis did not answer; each journal's once, by how far it has been applied.
-- What a balance does not cover is granted by a correction beside, so that none falls below zero.
-- KEYS: epoch, how far the journal has been applied in this shard, sequence, records, holders of the shard.
-- ARGV: epoch, the journal's group applied last as the node knows it, the last one of these, the shard's prefix; then the
-- charges in JSON: holder, tokens, whether the plan is unlimited, record, a correction's record before and after its tokens.
-- Returns the group applied last, and the tokens that had to be granted; another group than the last one of these means
-- that nothing was done.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.error_reply('EPOCH the fleet goes by another server') end
local applied = redis.call('GET', KEYS[2]) or '0'
if applied ~= ARGV[2] then return {tonumber(applied), 0} end
redis.call('SET', KEYS[2], ARGV[3])

local NOBODY = struct.pack('>dddddddd', 0, 0, 0, 0, 0, -1, 0, 0)
local GRANTED, CHARGED, BALANCE = 1, 2, 5

local function whole(number)
  return string.format('%.0f', number)
end

local entries, uncovered = {}, 0
for _, charge in ipairs(cjson.decode(ARGV[5])) do
  local holder, tokens, unlimited = charge[1], charge[2], charge[3]
  local key = ARGV[4] .. 'balance:' .. holder
  redis.call('SADD', KEYS[5], holder)
  local columns = {struct.unpack('>dddddddd', redis.call('GET', key) or NOBODY)}
  local granted = tokens
  if not unlimited then
    granted = math.max(0, tokens - columns[BALANCE])
    columns[BALANCE] = columns[BALANCE] + granted - tokens
    if granted > 0 then
      entries[#entries + 1] = charge[5] .. whole(granted) .. charge[6]
      uncovered = uncovered + granted
    end
  end
  columns[GRANTED], columns[CHARGED] = columns[GRANTED] + granted, columns[CHARGED] + tokens
  redis.call('SET', key, struct.pack('>dddddddd', unpack(columns, 1, 8)))
  entries[#entries + 1] = charge[4]
end
local number = redis.call('INCR', KEYS[3])
redis.call('XADD', KEYS[4], '*', 's', number, 'g', '[' .. table.concat(entries, ',') .. ']')
return {tonumber(ARGV[3]), uncovered}
