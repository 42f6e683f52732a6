--- A proxy made of ml.net, for the specs of streams: it passes on what comes, in pieces of any size, late,
-- and cuts it off.
local ml = require "moonloop"

local M = {}

--- Passes on what `from` gives, in pieces of how.size bytes (all that is there), after how.wait() each. After
-- how.bytes bytes of this direction it calls how.over().
local function pump(from, to, how)
  local passed = 0
  while true do
    local piece = from:read_some(how.size)
    if not piece then break end
    if how.wait then how.wait() end
    local left = how.bytes and how.bytes - passed
    if left and #piece >= left then
      to:write(piece:sub(1, left))
      return how.over()
    end
    passed = passed + #piece
    if not to:write(piece) then return end
  end
  to:shutdown()
end

--- A server in front of the one at host and port, for a variable `<close>`. how: size, wait; bytes, after which
-- what the server says is cut off.
function M.listen(host, port, how)
  return assert(ml.net.listen("127.0.0.1", 0, function(client)
    local server <close> = assert(ml.net.connect(host, port))
    local back = { size = how.size, wait = how.wait, bytes = how.bytes }
    function back.over()
      client:close()
      server:close()
    end
    ml.gather({ pump, client, server, { size = how.size, wait = how.wait } }, { pump, server, client, back })
  end))
end

return M
