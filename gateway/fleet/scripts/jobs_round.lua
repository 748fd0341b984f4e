-- One round of a node's on the register of refreshes: its commands become the next entry of the fleet's stream, and it
-- is told what it has not seen yet.
-- KEYS: epoch, head, stream, the node's last call. ARGV: server, number and id of the last round the node has performed,
-- number of this call (0: nothing is asked for), id of the round, batch of commands, token of the leader, batch of the
-- leader's commands, entries to return at most, bytes from which on no further one is returned.
-- Returns {status, number of the latest round, whether the leader's batch was taken, rounds and bytes since the copy,
-- bytes of the copy, entries}. Status: done; recovering (nothing is taken until the fleet agrees on this server); apart
-- (the node has what the fleet has not); late (the node has called again since).
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'recovering'} end
local head = redis.call('HMGET', KEYS[2], 'number', 'round', 'leader', 'copied', 'bytes', 'size')
local number, round = tonumber(head[1] or '0'), head[2] or ''
local known = tonumber(ARGV[2])
if known > number or (known == number and round ~= ARGV[3]) then return {'apart'} end

local led = 0
if ARGV[4] ~= '0' then
  if tonumber(redis.call('GET', KEYS[4]) or '0') >= tonumber(ARGV[4]) then return {'late'} end
  redis.call('SET', KEYS[4], ARGV[4], 'EX', 86400)
  if ARGV[8] ~= '' and head[3] == ARGV[7] then led = 1 end
  if ARGV[6] ~= '' or led == 1 then
    number = number + 1
    local batch = led == 1 and ARGV[8] or ''
    redis.call('XADD', KEYS[3], number .. '-0', 'r', ARGV[5], 'p', round, 'f', ARGV[6], 'l', batch)
    redis.call('HSET', KEYS[2], 'number', number, 'round', ARGV[5])
    head[5] = redis.call('HINCRBY', KEYS[2], 'bytes', #ARGV[6] + #batch)
  end
end
-- Few at a time: all other calls of the node wait behind this reply.
local entries, most, room, from = {}, tonumber(ARGV[9]), tonumber(ARGV[10]), known + 1
while from <= number and #entries < most and room > 0 do
  local found = redis.call('XRANGE', KEYS[3], from .. '-0', '+', 'COUNT', 16)
  if #found == 0 then break end
  for _, entry in ipairs(found) do
    if room > 0 then entries[#entries + 1] = entry end
    room = room - #entry[2][6] - #entry[2][8]
  end
  from = tonumber(string.match(found[#found][1], '^%d+')) + 1
end
local since = number - tonumber(head[4] or '0')
return {'done', number, led, since, tonumber(head[5] or '0'), tonumber(head[6] or '0'), entries}
