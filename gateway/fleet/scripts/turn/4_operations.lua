-- What the items do, by their names; `raw` is what follows one, `before` the reply to the item before.
local raw, before = nil, nil
local items = {}

-- who, throttle, tokens, times, record before the count, record after it: as many plain charges as are admitted.
function items.charge(item)
  if behind then return {OVERTAKEN} end
  local who, tokens, times = item[2], item[4], item[5]
  local columns = account(who[1], who[2])
  if stale(columns, who) then return as_found(STALE, columns) end
  local state = bucket(item[3])
  if state then times = math.min(times, math.floor(state.level / state.cost)) end
  if tokens > 0 then
    local left = who[3] and columns[BALANCE] or MOST - columns[GRANTED]
    times = math.min(times, math.floor(left / tokens))
  end
  if times > 0 then
    take(state, times)
    spend(columns, who, CHARGED, times * tokens)
    record(who[1], item[6] .. times .. item[7])
  end
  local reply = standing(columns, state)
  reply[1], reply[4] = times > 0 and DONE or SHORT, times
  return reply
end

-- who, throttle, cap, tokens, whether something is reused, record: a charge that is admitted and recorded by itself.
function items.sale(item, place)
  if behind and item[6] then return {OVERTAKEN} end
  local who = item[2]
  local columns = account(who[1], who[2])
  local refusal = refused(columns, who, item[3], item[4], item[5], place)
  if refusal then return refusal end
  spend(columns, who, CHARGED, item[5])
  record(who[1], item[7])
  return standing(columns, bucket(item[3]))
end

-- who, throttle, cap, tokens, operation, what is kept of it while it is open, record.
function items.reserve(item, place)
  local who = item[2]
  local columns = account(who[1], who[2])
  local refusal = refused(columns, who, item[3], item[4], item[5], place)
  if refusal then return refusal end
  spend(columns, who, RESERVED, item[5])
  redis.call('HSET', who[1] .. 'open', item[6], item[7])
  record(who[1], item[8])
  return standing(columns, bucket(item[3]))
end

-- who, throttle, operation, tokens reserved, tokens charged, where the rest returns to, record.
function items.close(item)
  local who = item[2]
  local columns = account(who[1], who[2])
  if stale(columns, who) then return as_found(STALE, columns) end
  if redis.call('HDEL', who[1] .. 'open', item[4]) == 0 then return {GONE} end
  move(columns, RESERVED, CHARGED, item[6])
  give(columns, RESERVED, item[7], item[5] - item[6])
  record(who[1], item[8])
  return standing(columns, bucket(item[3]))
end

-- who, throttle, tokens charged, where they return to, record.
function items.refund(item)
  local who = item[2]
  local columns = account(who[1], who[2])
  if stale(columns, who) then return as_found(STALE, columns) end
  give(columns, CHARGED, item[5], item[4])
  record(who[1], item[6])
  return standing(columns, bucket(item[3]))
end

-- who with its term before, its next period and what is given for it, tokens, record; records of the lapse before and
-- after its tokens, or false where nothing lapses; whether the node knows who had that name before.
function items.renew(item)
  local who = item[2]
  local columns = account(who[1], who[2])
  local renamed = columns[RENAMED]
  if who[3] < 0 and renamed and now - renamed < RELOADED and not item[9] then return {GONE} end
  if stale(columns, who) then return as_found(STALE, columns) end
  if columns[GRANTED] + item[5] > MOST then return {BEYOND} end
  if item[7] and columns[BALANCE] > 0 then
    record(who[1], item[7] .. whole(columns[BALANCE]) .. item[8])
    move(columns, BALANCE, LAPSED, columns[BALANCE])
  end
  move(columns, nil, GRANTED, item[5])
  move(columns, nil, BALANCE, item[5])
  columns[PERIOD], columns[GIVEN] = item[3], item[4]
  record(who[1], item[6])
  return {DONE}
end

-- who, tokens more or fewer, record.
function items.correct(item)
  local who, tokens = item[2], item[3]
  local columns = account(who[1], who[2])
  if stale(columns, who) then return as_found(STALE, columns) end
  if columns[BALANCE] + tokens < 0 then return {SHORT, columns[BALANCE]} end
  if columns[GRANTED] + tokens > MOST then return {BEYOND} end
  move(columns, nil, GRANTED, tokens)
  move(columns, nil, BALANCE, tokens)
  record(who[1], item[4])
  return {DONE, columns[BALANCE]}
end

-- The former holder and the new one, each with its term; what the former has charged, lapsed and free; its next term;
-- record.
function items.rename(item)
  local former, who, charged, lapsed, free = item[2], item[3], item[4], item[5], item[6]
  local old, new = account(former[1], former[2]), account(who[1], who[2])
  if stale(old, former) or stale(new, who) then return {STALE} end
  if old[CHARGED] ~= charged or old[LAPSED] ~= lapsed or old[BALANCE] ~= free then return {STALE} end
  local moved = {[GRANTED] = charged + lapsed + free, [CHARGED] = charged, [LAPSED] = lapsed, [BALANCE] = free}
  for column, tokens in pairs(moved) do
    move(old, column, nil, tokens)
    move(new, nil, column, tokens)
  end
  old[PERIOD], old[GIVEN] = -1, 0
  redis.call('HSET', former[1] .. 'balance:' .. former[2], 'renamed', whole(now))
  new[PERIOD], new[GIVEN] = item[7], item[8]
  record(who[1], item[9])
  return {DONE}
end

-- who, throttle, cap, whether room in the throttle is taken: how all of it stands.
function items.look(item)
  local who, state = item[2], bucket(item[3])
  local columns = account(who[1], who[2])
  if stale(columns, who) then return as_found(STALE, columns) end
  if item[5] and state then
    if state.level < state.cost then return {THROTTLED, state.level} end
    take(state, 1)
  end
  local reply = as_found(DONE, columns)
  reply[9] = level(state)
  if item[4] then reply[10], reply[11] = room(item[4]) end
  return reply
end

-- Pairs of prefix and records, of what moves no tokens.
function items.note(item)
  for _, noted in ipairs(item[2]) do record(noted[1], noted[2]) end
  return {DONE}
end

-- Nothing but whether the node lacks something.
function items.verify()
  return {behind and OVERTAKEN or DONE}
end

-- key, when it expires in wall-clock milliseconds, fingerprint, operation; raw content: if the item before was done.
function items.keep(item)
  if before[1] == DONE then
    redis.call('HSET', item[2], 'fingerprint', item[4], 'operation', item[5], 'until', item[3], 'remaining', before[2],
      'content', raw)
    redis.call('PEXPIREAT', item[2], item[3])
  end
end

-- key: if the item before was done.
function items.forget(item)
  if before[1] == DONE then redis.call('DEL', item[2]) end
end
