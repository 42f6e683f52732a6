--- Two connected ends of a TCP connection on the loopback, for specs of streams.
local net = require "moonloop".net

local M = {}

--- Returns the two ends, the client's first.
function M.new()
  local listener <close> = assert(net.listen("127.0.0.1", 0))
  local host, port = listener:address()
  local client = assert(net.connect(host, port, { timeout = 60 }))
  return client, assert(listener:accept())
end

--- Calls body(a, b) with a new pair, which is closed behind it.
function M.with(body)
  return function()
    local a, b = M.new()
    local first <close> = a -- luacheck: ignore
    local second <close> = b -- luacheck: ignore
    body(a, b)
  end
end

return M
