-- What wrk asks for where one request over and over does not do: `wrk -s requests.lua URL -- KIND KEYS URLS FIRST QUERY`.
--
--   sequence  the URLs one after the other, from the start again after the last, with the first key
--   mixed     each key asks for ten URLs of its own over and over; together they ask for all
--   drawn     any key for any URL: where there are many of both, hardly a head comes twice
--   turns     one key after the other, each for any URL
--   fresh     any key for any URL, with a traceparent and an X-Request-Id that no request had before
--
-- URLs are numbered from FIRST; QUERY, if given, ends each. bench/load.py gives keys and URLs the same names.
local tohex = require("bit").tohex
local random, floor = math.random, math.floor
local kinds, tails, urls = {}, {}, {}
local keys, count, first, run, asked = 1, 1, 0, "", 0
local kind

local function url(number)
   return string.format("GET /v1/products/1%010d", first + number)
end

function kinds.sequence()
   asked = asked + 1
   -- wrk has one request made before it begins, and does not send it.
   return url((asked - 2) % count) .. tails[1] .. "\r\n"
end

function kinds.mixed()
   local key, own = random(keys), random(0, 9)
   return urls[(key + own * floor(count / 10)) % count + 1] .. tails[key] .. "\r\n"
end

function kinds.drawn()
   return urls[random(count)] .. tails[random(keys)] .. "\r\n"
end

function kinds.turns()
   asked = asked + 1
   return urls[random(count)] .. tails[(asked - 2) % keys + 1] .. "\r\n"
end

function kinds.fresh()
   asked = asked + 1
   local number = tohex(asked)
   return urls[random(count)] .. tails[random(keys)]
      .. "traceparent: 00-4bf92f3577b34da6" .. run .. number .. "-00f067aa" .. number .. "-01\r\n"
      .. "X-Request-Id: " .. run .. "-" .. number .. "\r\n\r\n"
end

function init(arguments)
   kind = kinds[arguments[1]]
   keys, count, first = tonumber(arguments[2]), tonumber(arguments[3]), tonumber(arguments[4])
   math.randomseed(os.time())
   run = tohex(random(0x7fffffff))
   for key = 1, keys do
      wrk.headers["Authorization"] = string.format("Bearer rk_bench_%06d", key - 1)
      tails[key] = (arguments[5] or "") .. wrk.format("GET", "/"):match("^GET /( .*\r\n)\r\n$")
   end
   for number = 1, kind == kinds.sequence and 0 or count do
      urls[number] = url(number - 1)
   end
end

function request()
   return kind()
end
