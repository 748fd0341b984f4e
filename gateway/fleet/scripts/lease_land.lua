-- Ends a lease, and tells who waits for its fetch to ask again; a lease that another holds by now is left alone.
-- KEYS: lease, marker. ARGV: owner, `arrive` | `look` | `land` | `part`, milliseconds that what has landed is kept, of the marker and
-- of an unread inbox, the prefixes of the landed and of inboxes; to land also the value, the number of the fleet's log
-- up to which it is known not to be outdated, and the digests of its groups.
-- Returns how many wait, -1 where the lease is not the owner's. To `look` at one that somebody waits for ends nothing. To
-- `arrive` says that the fetch has ended, and not yet what it brought; it ends nothing either, and returns 0.
local way = ARGV[2]
if way == 'part' then redis.call('SET', KEYS[2], '', 'PX', ARGV[4]) end

local held = redis.call('HMGET', KEYS[1], 'owner', 'token')
if held[1] ~= ARGV[1] then return -1 end
if way == 'arrive' then
  redis.call('HSET', KEYS[1], 'arrived', '')
  return 0
end

local waiting = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local incarnation, serial = string.match(field, '^>(.-):(.+)$')
  if incarnation then waiting[#waiting + 1] = {incarnation, serial} end
end
if way == 'look' and #waiting > 0 then return #waiting end

if way == 'land' and #waiting > 0 then
  local landed = ARGV[6] .. held[2]
  redis.call('HSET', landed, 'value', ARGV[8], 'number', ARGV[9], 'groups', ARGV[10])
  redis.call('PEXPIRE', landed, ARGV[3])
end
for _, asker in ipairs(waiting) do
  local inbox = ARGV[7] .. asker[1]
  redis.call('XADD', inbox, 'MAXLEN', '~', 10000, '*', 'w', asker[2])
  redis.call('PEXPIRE', inbox, ARGV[5])
end
redis.call('DEL', KEYS[1])
return #waiting
