-- The account of what stored responses take in Redis: of each cache key its bytes, its variants, and when it expires.
-- Keys are called here by their digest. Bytes are those that Redis counts, with what the account takes itself.
-- KEYS: 6 to 8, the sums, the sizes, the expiries. ARGV: 6 and 7, bytes at most, what the names of the hashes begin with.
local SUMS, SIZES, ENDS, MOST, STORED = KEYS[6], KEYS[7], KEYS[8], tonumber(ARGV[6]), ARGV[7]
local SIZE = '>dd' -- bytes, variants
local OWN = 280
-- Of what has expired so much leaves with one save, which brings one; so often something is put out, and chosen from.
local EXPIRED, ROUNDS, SAMPLE = 16, 64, 5

local function add(bytes, variants)
  if variants ~= 0 then redis.call('HINCRBY', SUMS, 'responses', string.format('%d', variants)) end
  return redis.call('HINCRBY', SUMS, 'bytes', string.format('%d', bytes))
end

local function size_of(digest)
  local size = redis.call('HGET', SIZES, digest)
  if not size then return 0, 0 end
  return struct.unpack(SIZE, size)
end

local function leave(digest)
  local bytes, variants = size_of(digest)
  redis.call('HDEL', SIZES, digest)
  redis.call('ZREM', ENDS, digest)
  return add(-bytes, -variants), variants
end

local function enter(digest, variants, ends, beside)
  local bytes = redis.call('MEMORY', 'USAGE', STORED .. digest, 'SAMPLES', 0) + OWN + beside
  local its_bytes, its_variants = size_of(digest)
  redis.call('HSET', SIZES, digest, struct.pack(SIZE, bytes, variants))
  redis.call('ZADD', ENDS, ends, digest)
  return add(bytes - its_bytes, variants - its_variants)
end

-- In seconds, or less the more it is used where Redis tells that instead; without end for what Redis itself put out.
local function idleness(digest)
  local idle = redis.pcall('OBJECT', 'IDLETIME', STORED .. digest)
  if type(idle) == 'table' then idle = -redis.call('OBJECT', 'FREQ', STORED .. digest) end
  return idle or math.huge
end

local function idlest(but)
  local found, longest
  for _, digest in ipairs(redis.call('HRANDFIELD', SIZES, SAMPLE)) do
    local idle = digest ~= but and idleness(digest)
    if idle and (not found or idle > longest) then found, longest = digest, idle end
  end
  return found
end

-- Makes room for all but one; returns how many responses were put out.
local function make_room(total, but)
  local evicted = 0
  for _ = 1, ROUNDS do
    local digest = total > MOST and idlest(but)
    if not digest then break end
    local was_there, variants = redis.call('UNLINK', STORED .. digest), 0
    total, variants = leave(digest)
    evicted = evicted + was_there * variants
  end
  return evicted
end

local function forget_expired(now)
  local gone = redis.call('ZRANGEBYSCORE', ENDS, '-inf', string.format('%d', now * 1000), 'LIMIT', 0, EXPIRED)
  for _, digest in ipairs(gone) do leave(digest) end
end
