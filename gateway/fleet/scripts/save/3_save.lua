-- Keeps one variant of a cache key, unless it comes too late, and puts out what it leaves no room for.
-- KEYS: the key's hash (see load.lua), marks, floor, sequence, fence, the account's, the tags'. ARGV: the variant's id, what is asked
-- of it, its value, the fencing token or 0, how many variants at most, the account's.
-- Gives the time in seconds and microseconds, 1 if it is kept, else 0, and how many responses were put out.
local TIMES = '>dddd'
-- Seconds: what takes longer on its way here may be older than any mark that is still known.
local LATE = 600

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local id, about, token, most = ARGV[1], ARGV[2], tonumber(ARGV[4]), tonumber(ARGV[5])
local number, began, received, expires = struct.unpack(TIMES, about)
local refused = {time[1], time[2], 0, 0}

if number < tonumber(redis.call('GET', KEYS[3]) or '0') then return refused end
if number > tonumber(redis.call('GET', KEYS[4]) or '0') then return refused end
local fence = redis.call('GET', KEYS[5])
if token > 0 and tonumber(fence or '0') ~= token then return refused end
if expires <= now or now - received > LATE then return refused end
for at = 33, #about, 16 do
  local mark = redis.call('ZSCORE', KEYS[2], string.sub(about, at, at + 15))
  if mark and tonumber(mark) > number then return refused end
end

local names, variants, old, last = {}, {}, {}, expires
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(name, 1, 1) == 'm' then names[#names + 1] = name end
end
for at, other in ipairs(#names > 0 and redis.call('HMGET', KEYS[1], unpack(names)) or {}) do
  local its_number, its_began, its_received, its_expires = struct.unpack(TIMES, other)
  if string.sub(names[at], 2) == id then
    if its_number > number or (its_number == number and its_began > began) then return refused end
  elseif its_expires <= now then
    old[#old + 1] = string.sub(names[at], 2)
  else
    variants[#variants + 1] = {its_received, string.sub(names[at], 2)}
    last = math.max(last, its_expires)
  end
end

redis.call('HSET', KEYS[1], 'm' .. id, about, 'v' .. id, ARGV[3])
variants[#variants + 1] = {received, id}
table.sort(variants, function(one, other) return one[1] > other[1] end)
for at = most + 1, #variants do old[#old + 1] = variants[at][2] end
for _, its_id in ipairs(old) do redis.call('HDEL', KEYS[1], 'm' .. its_id, 'v' .. its_id) end
local ends, digest = string.format('%d', math.ceil(last * 1000)), string.sub(KEYS[1], #STORED + 1)
redis.call('PEXPIREAT', KEYS[1], ends)
forget_expired(now)
tag(digest, now, ends)
local total = enter(digest, math.min(#variants, most), ends, TAG * tags())
return {time[1], time[2], 1, make_room(total, digest)}
