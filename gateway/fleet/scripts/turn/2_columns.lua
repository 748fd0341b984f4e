-- What is read once, and written back once.
-- A balance: its eight columns as they are stored, the last of them since when a config gives its name up, or below zero
-- since when the one did not by which that was granted anew; its shard's prefix, whether it has changed, whether it is new.
local GRANTED, CHARGED, RESERVED, LAPSED, BALANCE, PERIOD, GIVEN, RENAMED, PREFIX, CHANGED, NEW =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
-- A throttle: what is stored of it, a request's cost, whether it has changed.
local LEVEL, MOMENT, COST, TAKEN = 1, 2, 3, 4
local accounts, buckets, shards = {}, {}, {}

local function stored(key)
  local place = at[key]
  if place then return found[place] end
  return redis.call('GET', key)
end

local function account(prefix, key)
  local packed = stored(key)
  local columns
  if packed then
    local granted, charged, reserved, lapsed, balance, period, given, renamed = struct_unpack('>dddddddd', packed)
    columns = {granted, charged, reserved, lapsed, balance, period, given, renamed, prefix, false, false}
  else
    columns = {0, 0, 0, 0, 0, -1, 0, 0, prefix, false, true}
  end
  accounts[key] = columns
  return columns
end

local function bucket(throttle, gain, cost, capacity, tick)
  local state, packed = {capacity, now, cost, false}, stored(throttle)
  if packed then
    local level, moment = struct_unpack('>dd', packed)
    local ticks = math.floor((now - moment) / tick)
    if ticks < 0 then
      state[1] = level
    elseif ticks < (capacity - level) / gain then
      state[1], state[2] = level + ticks * gain, moment + ticks * tick
    end
  end
  buckets[throttle] = state
  return state
end

-- A record, in up to three parts.
local function record(prefix, one, two, three)
  local parts = shards[prefix]
  if not parts then
    shards[prefix] = {'[', one, two, three}
    return
  end
  local last = #parts
  parts[last + 1], parts[last + 2], parts[last + 3], parts[last + 4] = ',', one, two, three
end
