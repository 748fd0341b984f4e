-- The meter of nginx + Lua: API keys as a table, a balance for each in the shared dictionary, a call for a token.
local balances, header, var, exit = ngx.shared.balances, ngx.header, ngx.var, ngx.exit
local accounts = {}

-- A line of keys.txt is a key and its grant.
for line in io.lines(ngx.config.prefix() .. "keys.txt") do
   local key, grant = line:match("^(%S+) (%d+)$")
   accounts["Bearer " .. key] = key
   balances:set(key, tonumber(grant))
end

-- By default the compiler begins with the library's small functions, gives each up half-way, and leaves all of this to
-- the interpreter, a third slower. In a hurry it begins with pay().
require("jit.opt").start("hotloop=2")

function pay()
   local account = accounts[var.http_authorization]
   if account == nil then
      return exit(ngx.HTTP_UNAUTHORIZED)
   end
   local left = balances:incr(account, -1)
   if left < 0 then
      balances:incr(account, 1)
      return exit(ngx.HTTP_TOO_MANY_REQUESTS)
   end
   header["X-Tokens-Consumed"] = "1"
   header["X-Tokens-Remaining"] = left
end
