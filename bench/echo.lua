-- What a message costs that a server sends back, of 1 kB on 64 connections, in CPU time of the server:
--
--   cc -O2 -o /tmp/echo_load bench/echo_load.c && build/release/moonloop bench/echo.lua /tmp/echo_load
--
-- Prints name, value and unit with tabs between them; bench/run compares it with bench/peers/*echo*.
local ml = require "moonloop"

local load = assert(arg[1], "the program of echo_load.c")

local server <close> = assert(ml.net.listen("127.0.0.1", 0, function(conn)
  local data = conn:read_some()
  while data and conn:write(data) do data = conn:read_some() end
end))

local before = os.clock()
local result = assert(ml.process.run { load, tostring(select(2, server:address())), check = true })
print(("message\t%.6g\tus"):format((os.clock() - before) / tonumber(result.stdout) * 1e6))
