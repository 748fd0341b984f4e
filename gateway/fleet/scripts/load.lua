-- The variants of one cache key that nothing outdates, most recently received first, as many as a reply may hold.
-- KEYS: their hash, marks, floor. ARGV: bytes of the values at most; `whole`, or whatever else where all that is wanted
-- of a value is what it says of itself, before field section and content (stores/encoding.py).
-- Of each variant there are two fields: `m` and its id with what is asked of it, `v` and its id with its value.
-- Gives the time in seconds and microseconds, then what is asked and value of each.
local TIMES = '>dddd' -- number, began, received, when it expires; 32 bytes, then 16 for each mark that would outdate it

local time = redis.call('TIME')
local now, floor = tonumber(time[1]) + tonumber(time[2]) / 1000000, tonumber(redis.call('GET', KEYS[3]) or '0')
local names, found, reply, left = {}, {}, {time[1], time[2]}, tonumber(ARGV[1])

for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(name, 1, 1) == 'm' then names[#names + 1] = name end
end
if #names == 0 then return reply end

local function outdated(about, number)
  if number < floor then return true end
  local marks = {}
  for at = 33, #about, 16 do marks[#marks + 1] = string.sub(about, at, at + 15) end
  for _, mark in ipairs(#marks > 0 and redis.call('ZMSCORE', KEYS[2], unpack(marks)) or {}) do
    if mark and tonumber(mark) > number then return true end
  end
  return false
end

for at, about in ipairs(redis.call('HMGET', KEYS[1], unpack(names))) do
  local number, _, received, expires = struct.unpack(TIMES, about)
  if expires > now and not outdated(about, number) then
    found[#found + 1] = {received, string.sub(names[at], 2), about}
  end
end
table.sort(found, function(one, other) return one[1] > other[1] end)

local function beginning(value)
  if #value < 13 then return value end
  return string.sub(value, 1, 13 + struct.unpack('>I4', value, 6))
end

for _, variant in ipairs(found) do
  if ARGV[2] == 'whole' then left = left - redis.call('HSTRLEN', KEYS[1], 'v' .. variant[2]) end
  if left < 0 then break end
  local value = redis.call('HGET', KEYS[1], 'v' .. variant[2])
  reply[#reply + 1] = variant[3]
  reply[#reply + 1] = ARGV[2] == 'whole' and value or beginning(value)
end
return reply
