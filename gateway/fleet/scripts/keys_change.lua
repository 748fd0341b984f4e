-- One change of the made keys, and the entry of the fleet's log that tells of it, in one step.
-- KEYS: epoch, keys, made keys, accounts, sequence, log. ARGV: the server asked, the version that this makes, a word of
-- this change's own, the entry, the account's id and its description (or "" twice), then number and content of each key.
-- Returns 1 where it is made, or was by this very change before; 0 where another change has made that version.
local ENTRIES = 100000

local epoch = redis.call('GET', KEYS[1])
if epoch and epoch ~= ARGV[1] then return redis.error_reply('EPOCH the fleet goes by another server') end
local held = redis.call('HMGET', KEYS[2], 'version', 'word')
local version = tonumber(held[1] or '0')
if version == tonumber(ARGV[2]) and held[2] == ARGV[3] then return 1 end
if version + 1 ~= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[2], 'version', ARGV[2], 'word', ARGV[3])
if ARGV[5] ~= '' then redis.call('HSET', KEYS[4], ARGV[5], ARGV[6]) end
for place = 7, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[place], ARGV[place + 1]) end
local number = string.format('%.0f', redis.call('INCR', KEYS[5]))
redis.call('XADD', KEYS[6], 'MAXLEN', '~', ENTRIES, number .. '-0', 'e', ARGV[4])
return 1
