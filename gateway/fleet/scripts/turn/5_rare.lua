-- What is rare, by its name; `who` is the prefix of a shard, the holder, and the term or false where that is all the same.
local named = {}
if rare then
  local GONE, BEYOND = 5, 7
  -- Microseconds in which a node may still go by what another one's config says no more.
  local RELOADED = 600000000

  local function whose(who)
    local key = who[1] .. 'balance:' .. who[2]
    return accounts[key] or account(who[1], key)
  end

  local function stale(columns, who)
    return who[3] and (columns[PERIOD] ~= who[3] or columns[GIVEN] ~= who[4])
  end

  -- Whether a config that has said the same of a name for so many microseconds, false if it never said anything, is not
  -- older than the one by which something became of that at a moment: the later config counts.
  local function knows(since, moment)
    return now - moment >= RELOADED or since and moment <= now - since + SLACK
  end

  local function as_found(columns)
    return {STALE, unpack(columns, 1, 7)}
  end

  local function grant(columns, tokens)
    columns[CHANGED] = true
    columns[GRANTED] = columns[GRANTED] + tokens
    columns[BALANCE] = columns[BALANCE] + tokens
  end

  -- who with its term before, its next period and what is given for it, tokens, record; records of the lapse before and
  -- after its tokens, or false where nothing lapses; for how long the node has known that the name was given up, or false.
  function named.renew(item)
    local who = item[2]
    local columns = whose(who)
    if who[3] < 0 and not knows(item[9], columns[RENAMED]) then return {GONE} end
    if stale(columns, who) then return as_found(columns) end
    if columns[GRANTED] + item[5] > MOST then return {BEYOND} end
    local lapsed = columns[BALANCE]
    if item[7] and lapsed > 0 then
      record(who[1], item[7], whole(lapsed), item[8])
      columns[LAPSED], columns[BALANCE] = columns[LAPSED] + lapsed, 0
    end
    grant(columns, item[5])
    columns[PERIOD], columns[GIVEN] = item[3], item[4]
    if columns[RENAMED] > 0 then columns[RENAMED] = (item[9] or 0) - now end
    record(who[1], item[6])
    return {DONE}
  end

  -- who, tokens more or fewer, record.
  function named.correct(item)
    local who, tokens = item[2], item[3]
    local columns = whose(who)
    if stale(columns, who) then return as_found(columns) end
    if columns[BALANCE] + tokens < 0 then return {SHORT, columns[BALANCE]} end
    if columns[GRANTED] + tokens > MOST then return {BEYOND} end
    grant(columns, tokens)
    record(who[1], item[4])
    return {DONE, columns[BALANCE]}
  end

  -- The former holder and the new one, each with its term; what the former has charged, lapsed and free; its next term;
  -- record; for how long the node has known who takes it over.
  function named.rename(item)
    local former, who, charged, lapsed, free = item[2], item[3], item[4], item[5], item[6]
    local old, new = whose(former), whose(who)
    if not knows(item[10], -old[RENAMED]) then return {GONE} end
    if stale(old, former) or stale(new, who) then return {STALE} end
    if old[CHARGED] ~= charged or old[LAPSED] ~= lapsed or old[BALANCE] ~= free then return {STALE} end
    local moved = {[GRANTED] = charged + lapsed + free, [CHARGED] = charged, [LAPSED] = lapsed, [BALANCE] = free}
    for column, tokens in pairs(moved) do
      old[column] = old[column] - tokens
      new[column] = new[column] + tokens
    end
    -- What follows a name that is given up already is no grant. A config that is in force for long proves nothing of nodes
    -- that have not heard of it by now.
    if old[PERIOD] >= 0 or now - old[RENAMED] >= RELOADED then
      old[RENAMED] = item[10] < RELOADED and now - item[10] or now
    end
    old[PERIOD], old[GIVEN], old[CHANGED] = -1, 0, true
    new[PERIOD], new[GIVEN], new[CHANGED] = item[7], item[8], true
    record(who[1], item[9])
    return {DONE}
  end

  -- Pairs of prefix and records, of what moves no tokens.
  function named.note(item)
    for _, noted in ipairs(item[2]) do record(noted[1], noted[2]) end
    return {DONE}
  end

  -- key: if the item before was done.
  function named.forget(item, status)
    if status == DONE then redis.call('DEL', item[2]) end
  end
end
