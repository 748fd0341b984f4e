-- Looks whether a request has been answered before; if not, claims that it is answered by who asks.
-- KEYS: what is kept, claim. ARGV: fingerprint, a word of the claim's own, milliseconds that it lasts (0: only look),
-- the wall clock in milliseconds.
-- Returns what is kept: {fingerprint, operation, until, remaining, content}; {} where nothing is, and the claim is
-- granted; or {fingerprint} of the request that another one has claimed.
local kept = redis.call('HMGET', KEYS[1], 'fingerprint', 'operation', 'until', 'remaining', 'content')
if kept[1] and tonumber(kept[3]) > tonumber(ARGV[4]) then return kept end
if ARGV[3] == '0' or redis.call('SET', KEYS[2], ARGV[2] .. ' ' .. ARGV[1], 'NX', 'PX', ARGV[3]) then return {} end
return {string.match(redis.call('GET', KEYS[2]), '%S+$')}
