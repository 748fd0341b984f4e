-- Everything that one node asks of the ledger in one turn, in order, each item all or nothing; exactly once by its number.
-- KEYS: epoch, call, clock, sequence, log, marks, purges, floor.
-- ARGV: epoch, the call's number, microseconds by the node's own clock since its last call was answered and since it
-- was sent, the latest entry of the fleet's log that it knows, how many entries it adds, three words for each
-- (its content, 16 bytes for each group that it marks, the purge that it is); then the items, in JSON: an operation's
-- name and what it takes; of "keep" the next word is its content, and neither it nor "forget" has a reply.
-- Neither marks nor purges expire: what falls out of them raises the floor, below which nothing shared is believed.
-- Gives {number of the first entry added or 0, entries that the node lacks as n, text, …, {a reply for each item}}.
-- Amounts and times are whole numbers below 2^53, which doubles hold exactly.
local DONE, STALE, THROTTLED, CAPPED, SHORT, GONE, OVERTAKEN, BEYOND = 0, 1, 2, 3, 4, 5, 6, 7
local GRANTED, CHARGED, RESERVED, LAPSED, BALANCE, PERIOD, GIVEN, RENAMED = 1, 2, 3, 4, 5, 6, 7, 8
local MOST = 2 ^ 53
-- Microseconds in which a node may still go by a name that another one has given up.
local RELOADED = 600000000
-- Microseconds that a call may be under way: by so much Redis's clock may be ahead of the node's.
local SLACK = 250000
local ENTRIES, MARKS, PURGES, MARK, LACKED, FAR = 100000, 100000, 64, 16, 1000, 1048576

local function whole(number)
  return string.format('%.0f', number)
end

-- The fleet's clock goes by Redis's, but never back, and where that is set it follows the clock of the node that asks:
-- between this call and its last one at `seen` there were at least `least` microseconds, and at most `most` and SLACK.
local function fleet_time(clock, seen, least, most)
  local time = redis.call('TIME')
  local at = time[1] * 1000000 + time[2]
  if not clock then return at, at end
  local last, latest = string.match(clock, '^(%d+) (%d+)$')
  last, latest = tonumber(last), tonumber(latest)
  local now = latest + math.max(0, at - last)
  if seen then now = math.max(seen + least, math.min(now, seen + most + SLACK)) end
  return at, math.max(now, latest)
end

local found = redis.call('MGET', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
if found[1] ~= ARGV[1] then return redis.error_reply('EPOCH the fleet goes by another server') end
local number, seen = tonumber(ARGV[2]), nil
if found[2] then
  local executed, fence, moment = string.match(found[2], '^(%d+) (%d+) (%d+)\n')
  if number <= tonumber(executed) or number <= tonumber(fence) then
    return redis.error_reply('PAST this call came too late')
  end
  -- 0: the record tells of nothing but a call that is to come too late.
  if moment ~= '0' then seen = tonumber(moment) end
end
local at, now = fleet_time(found[3], seen, tonumber(ARGV[3]), tonumber(ARGV[4]))
-- The first write is one that Redis refuses where memory is short, and nothing has happened then.
redis.call('SET', KEYS[3], whole(at) .. ' ' .. whole(now))
