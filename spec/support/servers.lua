--- What the servers of others that specs start have in common: they are run by an unprivileged user, in a
-- folder of their own.
local ml = require "moonloop"
local process = require "spec.support.process"
local rawtcp = require("spec.support").rawtcp
local assert = require "luassert"

local M = {}

--- Waits until `f()` gives something, at most `seconds`, and gives that; `what` is said where it does not.
function M.eventually(seconds, what, f)
  return assert(ml.timeout(seconds, function()
    while true do
      local value = f()
      if value then return value end
      ml.sleep(0.005)
    end
  end), what)
end

--- A port of 127.0.0.1 that nobody listens on. It is none of those that the system gives to clients, one of which
-- could have it while the server is away.
function M.free_port()
  local bytes <close> = assert(io.open("/dev/urandom", "rb"))
  while true do
    local listener <close> = rawtcp.listen(1, 20000 + ("I2"):unpack(bytes:read(2)) % 12000)
    if listener then return listener.port end
  end
end

--- The words before a command that is to be run by an unprivileged user.
function M.as_nobody()
  return process.sh "id -u":find "^0" and "setpriv --reuid=65534 --regid=65534 --clear-groups" or ""
end

--- A server has `folder`, `pipe`, which ends with its first process, and `pid`, that process.
M.Server = {}

--- Sends its first process a signal, by name.
function M.Server:kill(signal) assert(os.execute(("kill -%s %s"):format(signal, self.pid))) end

--- Ends it, by KILL or another signal, also where it is stopped, so that it can be started again.
function M.Server:stop(signal)
  if not self.pipe then return end
  os.execute(("kill -CONT %s 2>/dev/null; kill -%s %s 2>/dev/null"):format(self.pid, signal or "KILL", self.pid))
  self.pipe:close()
  self.pipe = nil
end

function M.Server:close()
  self:stop()
  self.folder:close()
end

return M
