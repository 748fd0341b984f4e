-- A node comes (back): gives the number of the log's latest entry, and its content, '' where it is not kept any more.
-- KEYS: sequence, log, floor. ARGV: the number of the latest entry that the node knows, 0 for none, and its content.
-- Where Redis has lost what the node knows, the numbers go on far beyond whatever any node may know: every node sees
-- that as a gap, and nothing in the shared tier is believed. Whoever comes next finds nothing lost.
local FAR = 1048576

local function content(number)
  local id = string.format('%d-0', number)
  local found = redis.call('XRANGE', KEYS[2], id, id)[1]
  return found and found[2][2] or ''
end

-- Others may have been here before, and have put something else in the place of what was lost.
local function replaced(known)
  local held = content(known)
  return held ~= '' and ARGV[2] ~= '' and held ~= ARGV[2]
end

local number, known = tonumber(redis.call('GET', KEYS[1]) or '0'), tonumber(ARGV[1])
if number < known or replaced(known) then
  number = math.max(number, known) + FAR
  local text = string.format('%d', number)
  redis.call('SET', KEYS[1], text)
  redis.call('SET', KEYS[3], text)
  redis.call('DEL', KEYS[2])
  redis.call('XADD', KEYS[2], text .. '-0', 'e', '["gap",0]')
end
return {number, content(number)}
