-- Everything that one node asks of the ledger in one turn, in order, each item all or nothing; exactly once by its number.
-- KEYS: epoch, call, clock, sequence, log, marks, purges, floor.
-- ARGV: epoch, the call's number, microseconds by the node's own clock since its last call was answered and since it
-- was sent, the latest entry of the fleet's log that it knows, how many entries it adds, three words for each
-- (its content, 16 bytes for each group that it marks, the purge that it is); then the items, of which "keep" and
-- "forget" have no reply. What every request may ask is packed (till/packed.py), what is rare is in JSON: its name, and
-- what it takes.
-- Neither marks nor purges expire: what falls out of them raises the floor, below which nothing shared is believed.
-- Gives {numbers, entries that the node lacks as n, text, …}. The numbers are eight bytes each, the lowest first: the
-- call's, 0, the clock's moment, how many numbers there are, the number of the first entry added or 0; and of each reply
-- how many it has, and these.
-- Amounts and times are whole numbers below 2^53, which doubles hold exactly.
-- Most calls are nothing but charges. Each call makes every closure anew, and hashes every byte of each string it makes:
-- charges are made in place, all else is defined where it is asked for, and words are used as they come.
local ARGV, KEYS, byte, struct_unpack, struct_pack = ARGV, KEYS, string.byte, struct.unpack, struct.pack
local CHARGE, REUSE, LOOK, KEEP, VERIFY = 1, 3, 7, 8, 9
local DONE, STALE, SHORT, OVERTAKEN = 0, 1, 4, 6
local MOST = 2 ^ 53
-- Microseconds that a call may be under way: by so much Redis's clock may be ahead of the node's.
local SLACK = 250000
-- A packed item has six words: its numbers, the prefix of its shard, its balance, its throttle or '', its record, and
-- what else its operation takes, which a charge has not; "keep" has one word.
-- Its numbers are the code, whether the term matters, the term, two amounts, and of the throttle gain per tick, cost of a
-- request, capacity and microseconds per tick.
local NUMBERS, WORDS = '>BBdddddddd', 6

local function whole(number)
  return string.format('%.0f', number)
end

local number, known, added = tonumber(ARGV[2]), tonumber(ARGV[5]), tonumber(ARGV[6])
local begin = 7 + 3 * added

-- What the items will need is read with one command, each key once: `at` says where it is found. `plain` is whether
-- they are nothing but charges, `rare` whether any is in JSON.
local keys, at = {KEYS[1], KEYS[2], KEYS[3], KEYS[4], false, false, false}, {}
local place, last, plain, rare = begin, 4, true, false
while ARGV[place] do
  local code, step = byte(ARGV[place]), 1
  plain, rare = plain and (code == CHARGE or code == VERIFY), rare or code > VERIFY
  if code <= LOOK then
    local prefix, key, throttle = ARGV[place + 1], ARGV[place + 2], ARGV[place + 3]
    if not at[prefix] then
      local sequence = prefix .. 'sequence'
      last = last + 1
      keys[last], at[sequence], at[prefix] = sequence, last, last
    end
    if not at[key] then
      last = last + 1
      keys[last], at[key] = key, last
    end
    if throttle ~= '' and not at[throttle] then
      last = last + 1
      keys[last], at[throttle] = throttle, last
    end
    step = code == CHARGE and WORDS - 1 or WORDS
  end
  place = place + step
end
local found = redis.call('MGET', unpack(keys, 1, last))

if found[1] ~= ARGV[1] then return redis.error_reply('EPOCH the fleet goes by another server') end
local seen = nil
if found[2] then
  local executed, fence, moment = struct_unpack('<i8i8i8', found[2])
  if number <= executed or number <= fence then return redis.error_reply('PAST this call came too late') end
  -- 0: the record tells of nothing but a call that is to come too late.
  if moment ~= 0 then seen = moment end
end

-- The fleet's clock goes by Redis's, but never back, and where that is set it follows the clock of the node that asks:
-- between this call and its last one at `seen` there were at least ARGV[3], and at most ARGV[4] and SLACK.
local time = redis.call('TIME')
local moment = time[1] * 1000000 + time[2]
local now = moment
if found[3] then
  local last, latest = struct_unpack('>dd', found[3])
  now = latest + math.max(0, moment - last)
  if seen then now = math.max(seen + ARGV[3], math.min(now, seen + ARGV[4] + SLACK)) end
  now = math.max(now, latest)
end
-- The first write is one that Redis refuses where memory is short, and nothing has happened then: charges have no other.
local clock = struct_pack('>dd', moment, now)
if not plain then redis.call('SET', KEYS[3], clock) end
