-- What else requests ask, by the items' codes; of each it says what its amounts are, and what else it takes. Each gives
-- its reply.
local operations = {}
if not plain then
  local THROTTLED, CAPPED, GONE, BEYOND = 2, 3, 5, 7
  local SALE, RESERVE, CLOSE, REFUND = 2, 4, 5, 6

  local function level(state)
    return state and state[LEVEL] or -1
  end

  local function standing(columns, state)
    return {DONE, columns[BALANCE] + columns[RESERVED], level(state)}
  end

  local function take(state)
    if state then state[LEVEL], state[TAKEN] = state[LEVEL] - state[COST], true end
  end

  -- Tokens come out of the balance, or are granted as they are spent where the plan is unlimited.
  local function spend(columns, limited, to, tokens)
    local from, sign = GRANTED, 1
    if limited then from, sign = BALANCE, -1 end
    columns[from], columns[CHANGED] = columns[from] + sign * tokens, true
    columns[to] = columns[to] + tokens
  end

  -- A cap: 0 for none, or 1, the prefix of its shard, its window's key, count, microseconds, and the record before the
  -- time and after it. Gives nil for none, and where the rest begins.
  local function capped(words)
    if byte(words) == 0 then return nil, 2 end
    local _, prefix, key, count, window, before, after, rest = struct_unpack('>BI4c0I4c0ddI4c0I4c0', words)
    return {prefix = prefix, key = key, count = count, window = window, before = before, after = after}, rest
  end

  -- How many more there is room for, and the microseconds until there is any.
  local function room(cap)
    redis.call('ZREMRANGEBYSCORE', cap.key, '-inf', '(' .. whole(now - cap.window))
    local excess = redis.call('ZCARD', cap.key) - cap.count
    if excess < 0 then return -excess, 0 end
    local oldest = redis.call('ZRANGE', cap.key, excess, excess, 'WITHSCORES')
    return 0, oldest[2] + cap.window - now
  end

  local function force(cap, place)
    redis.call('ZADD', cap.key, whole(now), KEYS[2] .. ' ' .. ARGV[2] .. ' ' .. place)
    record(cap.prefix, cap.before, string.format('%.6f', now / 1000000), cap.after)
  end

  -- Throttle, cap and balance, all or none: a refusal's reply, or nil once throttle and cap are taken.
  local function refused(columns, state, limited, cap, tokens, place)
    if state and state[LEVEL] < state[COST] then return {THROTTLED, state[LEVEL]} end
    if cap then
      local left, wait = room(cap)
      if left == 0 then return {CAPPED, wait} end
    end
    if limited then
      if columns[BALANCE] < tokens then return {SHORT, level(state)} end
    elseif columns[GRANTED] + tokens > MOST then
      return {BEYOND}
    end
    take(state)
    if cap then force(cap, place) end
    return nil
  end

  -- Tokens return to a column: to the balance, to what has lapsed, or they were granted for this alone and are no more.
  local function give(columns, from, to, tokens)
    columns[CHANGED] = true
    columns[from] = columns[from] - tokens
    if to == GRANTED then tokens = -tokens end
    columns[to] = columns[to] + tokens
  end

  -- Amount: tokens. Cap: a charge that is admitted and recorded by itself.
  operations[SALE] = function(place, columns, state, limited, tokens)
    local refusal = refused(columns, state, limited, capped(ARGV[place + 5]), tokens, place)
    if refusal then return refusal end
    spend(columns, limited, CHARGED, tokens)
    record(columns[PREFIX], ARGV[place + 4])
    return standing(columns, state)
  end

  -- The same where something is reused: never asked where the node lacks entries of the log.
  operations[REUSE] = operations[SALE]

  -- Amount: tokens. Cap, operation, what is kept of it while it is open.
  operations[RESERVE] = function(place, columns, state, limited, tokens)
    local cap, rest = capped(ARGV[place + 5])
    local refusal = refused(columns, state, limited, cap, tokens, place)
    if refusal then return refusal end
    local operation, kept = struct_unpack('>I4c0I4c0', ARGV[place + 5], rest)
    spend(columns, limited, RESERVED, tokens)
    redis.call('HSET', columns[PREFIX] .. 'open', operation, kept)
    record(columns[PREFIX], ARGV[place + 4])
    return standing(columns, state)
  end

  -- Amounts: tokens charged, tokens reserved. Where the rest returns to, operation.
  operations[CLOSE] = function(place, columns, state, _, charged, reserved)
    local to, operation = struct_unpack('>BI4c0', ARGV[place + 5])
    if redis.call('HDEL', columns[PREFIX] .. 'open', operation) == 0 then return {GONE} end
    give(columns, RESERVED, CHARGED, charged)
    give(columns, RESERVED, to, reserved - charged)
    record(columns[PREFIX], ARGV[place + 4])
    return standing(columns, state)
  end

  -- Amount: tokens charged. Where they return to.
  operations[REFUND] = function(place, columns, state, _, tokens)
    give(columns, CHARGED, byte(ARGV[place + 5]), tokens)
    record(columns[PREFIX], ARGV[place + 4])
    return standing(columns, state)
  end

  -- Amount: 1 where room in the throttle is taken. Cap: how all of it stands.
  operations[LOOK] = function(place, columns, state, _, taken)
    if taken == 1 and state then
      if state[LEVEL] < state[COST] then return {THROTTLED, state[LEVEL]} end
      take(state)
    end
    local reply, cap = {DONE, unpack(columns, 1, 7)}, capped(ARGV[place + 5])
    reply[9] = level(state)
    if cap then reply[10], reply[11] = room(cap) end
    return reply
  end

  -- Key, when it expires in wall-clock milliseconds, fingerprint, operation, content: if the item before was done.
  operations[KEEP] = function(place, status, remaining)
    if status ~= DONE then return nil end
    local key, expires, fingerprint, operation, content = struct_unpack('>I4c0I4c0I4c0I4c0I4c0', ARGV[place], 2)
    redis.call('HSET', key, 'fingerprint', fingerprint, 'operation', operation, 'until', expires,
      'remaining', remaining, 'content', content)
    redis.call('PEXPIREAT', key, expires)
    return nil
  end
end
