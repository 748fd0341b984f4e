-- Which cache keys have something with a tag: for each tag a set of their digests, some of which have gone.
-- KEYS: from 9 on, the sets of what is saved.
local FIRST, TAG = 9, 150 -- bytes of one in the account

local function tags() return math.max(#KEYS - FIRST + 1, 0) end

local function tag(digest, now, ends)
  for at = FIRST, #KEYS do
    local is_new = redis.call('SADD', KEYS[at], digest) == 1
    -- More leave than come, as long as half of them have gone.
    for _, other in ipairs(is_new and redis.call('SRANDMEMBER', KEYS[at], 2) or {}) do
      if redis.call('EXISTS', STORED .. other) == 0 then redis.call('SREM', KEYS[at], other) end
    end
    if redis.call('PTTL', KEYS[at]) < ends - now * 1000 then redis.call('PEXPIREAT', KEYS[at], ends) end
  end
end
