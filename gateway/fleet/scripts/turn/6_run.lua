-- The items in their order. `before` is where the numbers of the latest reply begin.
local numbers, total, before = {number, 0, now, 0, first, 0, 0, 0, 0, 0}, 5, 0
place = begin
while ARGV[place] do
  local code, reply = byte(ARGV[place]), nil
  if code == VERIFY then
    reply = {behind and OVERTAKEN or DONE}
    place = place + 1
  elseif code == KEEP then
    operations[KEEP](place, numbers[before], numbers[before + 1])
    place = place + 1
  elseif code > VERIFY then
    local item = cjson.decode(ARGV[place])
    reply = named[item[1]](item, numbers[before])
    place = place + 1
  elseif behind and (code == CHARGE or code == REUSE) then
    reply = {OVERTAKEN}
    place = place + (code == CHARGE and WORDS - 1 or WORDS)
  else
    local _, limited, period, given, amount, tokens, gain, cost, capacity, tick = struct_unpack(NUMBERS, ARGV[place])
    local key, throttle, state = ARGV[place + 2], ARGV[place + 3], nil
    local columns = accounts[key] or account(ARGV[place + 1], key)
    limited = limited == 1
    if throttle ~= '' then state = buckets[throttle] or bucket(throttle, gain, cost, capacity, tick) end
    if limited and (columns[PERIOD] ~= period or columns[GIVEN] ~= given) then
      reply = {STALE, unpack(columns, 1, 7)}
    elseif code == CHARGE then
      -- As many as are admitted of the amount that is asked for, each so many tokens. Of the record what follows the count.
      if state then amount = math.min(amount, math.floor(state[LEVEL] / cost)) end
      if tokens > 0 then
        amount = math.min(amount, math.floor((limited and columns[BALANCE] or MOST - columns[GRANTED]) / tokens))
      end
      if amount > 0 then
        local from, sum = limited and BALANCE or GRANTED, amount * tokens
        columns[from] = columns[from] + (limited and -sum or sum)
        columns[CHARGED], columns[CHANGED] = columns[CHARGED] + sum, true
        if state then state[LEVEL], state[TAKEN] = state[LEVEL] - amount * cost, true end
        record(columns[PREFIX], '["charge",', amount, ARGV[place + 4])
      end
      numbers[total + 1], numbers[total + 2] = 4, amount > 0 and DONE or SHORT
      numbers[total + 3], numbers[total + 4] = columns[BALANCE] + columns[RESERVED], state and state[LEVEL] or -1
      numbers[total + 5] = amount
      before, total = total + 2, total + 5
    else
      reply = operations[code](place, columns, state, limited, amount, tokens)
    end
    place = place + (code == CHARGE and WORDS - 1 or WORDS)
  end
  if reply then
    local size = #reply
    numbers[total + 1] = size
    for at = 1, size do numbers[total + 1 + at] = reply[at] end
    before, total = total + 2, total + 1 + size
  end
end
