-- Asks who of the fleet makes a fetch. Whoever is told that another does is told in its inbox when to ask again.
-- KEYS: marks, purges, floor, marker, last token, fence, what the fetch followed so far has landed as, then the leases of
-- the key that would do: highest rank first, a force refresh's, and last the asker's own. ARGV: asker
-- (`incarnation:serial`), number of the fleet's log that it knows, digests of the fetch's groups, milliseconds of lease,
-- of fence and of an unread inbox, the inboxes' prefix.
-- Returns {'landed', value, milliseconds left of it, 1 where it is outdated}, {'apart'}, {'held', token, milliseconds
-- left}, {'led', token}.
local MARK, FIRST = 16, 8

-- Whether an entry of the log outdates what began at `number`. A purge of what no groups tell may mean anything.
local function outdated(number, groups)
  number = tonumber(number)
  if tonumber(redis.call('GET', KEYS[3]) or '0') > number then return true end
  if redis.call('ZCOUNT', KEYS[2], '(' .. number, '+inf') > 0 then return true end
  for at = 1, #groups, MARK do
    local marked = redis.call('ZSCORE', KEYS[1], string.sub(groups, at, at + MARK - 1))
    if marked and tonumber(marked) > number then return true end
  end
  return false
end

local landed = redis.call('HMGET', KEYS[7], 'value', 'number', 'groups')
if landed[1] then
  return {'landed', landed[1], redis.call('PTTL', KEYS[7]), outdated(landed[2], landed[3]) and 1 or 0}
end
if redis.call('EXISTS', KEYS[4]) == 1 then return {'apart'} end

for at = FIRST, #KEYS do
  local held = redis.call('HMGET', KEYS[at], 'token', 'number', 'arrived')
  -- A force refresh marks its own groups before it lands, and is looked at again then. It does for another one only
  -- while it is under way.
  local arrived = held[3] and #KEYS == FIRST
  if held[1] and not arrived and (at == FIRST or not outdated(held[2], ARGV[3])) then
    redis.call('HSET', KEYS[at], '>' .. ARGV[1], '')
    return {'held', held[1], redis.call('PTTL', KEYS[at])}
  end
end

local lease = KEYS[#KEYS]
-- Who waits for the fetch whose place this one takes asks again, and waits for this one.
for _, field in ipairs(redis.call('HKEYS', lease)) do
  local incarnation, serial = string.match(field, '^>(.-):(.+)$')
  if incarnation then
    local inbox = ARGV[7] .. incarnation
    redis.call('XADD', inbox, 'MAXLEN', '~', 10000, '*', 'w', serial)
    redis.call('PEXPIRE', inbox, ARGV[6])
  end
end

-- Not only one more than the last: a failover may have lost that one, and a token must never come again.
local time = redis.call('TIME')
local token = math.max(tonumber(redis.call('GET', KEYS[5]) or '0') + 1, time[1] * 1000000 + time[2])
token = string.format('%.0f', token)
redis.call('SET', KEYS[5], token)
redis.call('SET', KEYS[6], token, 'PX', ARGV[5])
redis.call('DEL', lease)
redis.call('HSET', lease, 'owner', ARGV[1], 'token', token, 'number', ARGV[2])
redis.call('PEXPIRE', lease, ARGV[4])
return {'led', token}
