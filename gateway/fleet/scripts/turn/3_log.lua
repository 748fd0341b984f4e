-- What the node lacks of the fleet's log, and what it adds to it.
local latest = tonumber(found[4] or '0')
if latest < known then
  -- Redis has been emptied meanwhile, and no connection broke by that: as in rejoin.lua.
  local FAR = 1048576
  latest = known + FAR
  redis.call('SET', KEYS[4], whole(latest))
  redis.call('SET', KEYS[8], whole(latest))
  redis.call('DEL', KEYS[5])
  redis.call('XADD', KEYS[5], whole(latest) .. '-0', 'e', '["gap",0]')
end
local behind = latest ~= known

local lacking = {}
if behind then
  local LACKED = 1000
  local later = redis.call('XRANGE', KEYS[5], '(' .. ARGV[5] .. '-0', '+', 'COUNT', LACKED + 1)
  -- Of too many the latest alone, a gap: what is not overtaken, as it reuses nothing, has to know all of them as well.
  if #later > LACKED then later = redis.call('XREVRANGE', KEYS[5], '+', '-', 'COUNT', 1) end
  for _, entry in ipairs(later) do
    lacking[#lacking + 1] = tonumber(string.match(entry[1], '^%d+'))
    lacking[#lacking + 1] = entry[2][2]
  end
end

local first = 0
if added > 0 then
  local ENTRIES, MARKS, PURGES, MARK = 100000, 100000, 64, 16

  local function forget(key, most)
    local excess = redis.call('ZCARD', key) - most
    if excess > 0 then
      local oldest = redis.call('ZPOPMIN', key, excess)
      local floor = math.max(tonumber(redis.call('GET', KEYS[8]) or '0'), tonumber(oldest[#oldest]))
      redis.call('SET', KEYS[8], whole(floor))
    end
  end

  first = latest + 1
  for place = 7, begin - 1, 3 do
    local entry, marks, purge = ARGV[place], ARGV[place + 1], ARGV[place + 2]
    local text = whole(redis.call('INCR', KEYS[4]))
    redis.call('XADD', KEYS[5], 'MAXLEN', '~', ENTRIES, text .. '-0', 'e', entry)
    for mark = 1, #marks, MARK do redis.call('ZADD', KEYS[6], text, string.sub(marks, mark, mark + MARK - 1)) end
    forget(KEYS[6], MARKS)
    if purge == '["everything"]' then
      redis.call('SET', KEYS[8], text)
    elseif purge ~= '' then
      redis.call('ZADD', KEYS[7], text, purge)
      forget(KEYS[7], PURGES)
    end
  end
end
