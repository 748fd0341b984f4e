-- What is read once, and written back once.
local accounts, buckets, shards = {}, {}, {}

local function account(prefix, holder)
  local key = prefix .. 'balance:' .. holder
  local columns = accounts[key]
  if columns then return columns end
  columns = redis.call('HMGET', key, 'granted', 'charged', 'reserved', 'lapsed', 'balance', 'period', 'given',
    'renamed')
  if columns[1] then
    for i = 1, 8 do columns[i] = tonumber(columns[i]) end
  else
    columns = {0, 0, 0, 0, 0, -1, 0}
    columns.new = true
  end
  columns.prefix, columns.holder = prefix, holder
  accounts[key] = columns
  return columns
end

local function stale(columns, who)
  return who[3] and (columns[PERIOD] ~= who[3] or columns[GIVEN] ~= who[4])
end

local function as_found(status, columns)
  return {status, columns[1], columns[2], columns[3], columns[4], columns[5], columns[6], columns[7]}
end

local function move(columns, from, to, tokens)
  columns.changed = true
  if from then columns[from] = columns[from] - tokens end
  if to then columns[to] = columns[to] + tokens end
end

local function record(prefix, entry)
  local entries = shards[prefix]
  if entries then
    entries[#entries + 1] = entry
  else
    shards[prefix] = {entry}
  end
end

-- A throttle is {key, policy, gain per tick, cost of a request, capacity, microseconds per tick}, or false.
local function bucket(throttle)
  if not throttle then return nil end
  local key, policy, gain, capacity, tick = throttle[1], throttle[2], throttle[3], throttle[5], throttle[6]
  local name = key .. '\n' .. policy
  local state = buckets[name]
  if state then return state end
  state = {key = key, policy = policy, level = capacity, moment = now, cost = throttle[4]}
  local stored = redis.call('HGET', key, policy)
  if stored then
    local level, moment = string.match(stored, '^(%d+) (%d+)$')
    level, moment = tonumber(level), tonumber(moment)
    local ticks = math.floor((now - moment) / tick)
    if ticks < 0 then
      state.level = level
    elseif ticks < (capacity - level) / gain then
      state.level, state.moment = level + ticks * gain, moment + ticks * tick
    end
  end
  buckets[name] = state
  return state
end

local function level(state)
  return state and state.level or -1
end

local function take(state, times)
  if state then
    state.level = state.level - times * state.cost
    state.changed = true
  end
end

-- A cap is {prefix, organization, count, microseconds, record before the time, record after it}, or false.
-- Gives how many more there is room for, and the microseconds until there is any.
local function room(cap)
  local key = cap[1] .. 'forced:' .. cap[2]
  redis.call('ZREMRANGEBYSCORE', key, '-inf', '(' .. whole(now - cap[4]))
  local excess = redis.call('ZCARD', key) - cap[3]
  if excess < 0 then return -excess, 0 end
  local oldest = redis.call('ZRANGE', key, excess, excess, 'WITHSCORES')
  return 0, oldest[2] + cap[4] - now
end

local function force(cap, place)
  redis.call('ZADD', cap[1] .. 'forced:' .. cap[2], whole(now), KEYS[2] .. ' ' .. ARGV[2] .. ' ' .. place)
  record(cap[1], cap[5] .. string.format('%.6f', now / 1000000) .. cap[6])
end

-- Throttle, cap and balance, all or none: a refusal's reply, or nil once throttle and cap are taken.
local function refused(columns, who, throttle, cap, tokens, place)
  if stale(columns, who) then return as_found(STALE, columns) end
  local state = bucket(throttle)
  if state and state.level < state.cost then return {THROTTLED, state.level} end
  if cap then
    local left, wait = room(cap)
    if left == 0 then return {CAPPED, wait} end
  end
  if who[3] then
    if columns[BALANCE] < tokens then return {SHORT, level(state)} end
  elseif columns[GRANTED] + tokens > MOST then
    return {BEYOND}
  end
  take(state, 1)
  if cap then force(cap, place) end
  return nil
end

local function standing(columns, state)
  return {DONE, columns[BALANCE] + columns[RESERVED], level(state)}
end

-- Tokens come out of the balance, or are granted as they are spent where the plan is unlimited: who[3] is false then.
local function spend(columns, who, to, tokens)
  move(columns, who[3] and BALANCE, to, tokens)
  if not who[3] then move(columns, nil, GRANTED, tokens) end
end

-- Tokens return to a column: to the balance, to what has lapsed, or they were granted for this alone and are no more.
local function give(columns, from, to, tokens)
  if to == GRANTED then
    move(columns, GRANTED, nil, tokens)
    move(columns, from, nil, tokens)
  else
    move(columns, from, to, tokens)
  end
end
