--- The addresses of a host that may be connected to: those that the option `allow_address` lets pass. It is asked
-- in the task of the caller, after the look-up; who dials then connects to no others, so a name that means
-- something else the next time it is looked up gains nothing.
local core = require "moonloop.core"
local net = require "moonloop.net.core"

local M = {}

local MOST = 16 -- addresses that are dialed

--- The check of the option's value: nil if it is right, or what is expected.
function M.check(value)
  if not core.is_callable(value) then return "a function" end
end

local function look_up(whose, host, timeout, family)
  if timeout == math.huge then return net.resolve(whose, host, family) end
  return core.timeout(timeout, net.resolve, whose, host, family)
end

local function refusal(host, refused)
  local shown = table.concat(refused, ", ", 1, math.min(#refused, 4)) .. (#refused > 4 and ", ..." or "")
  if #refused == 1 and refused[1] == host then return ("the address %s is refused by allow_address"):format(shown) end
  return ("%s of '%s' %s refused by allow_address: %s"):format(#refused == 1 and "the address" or "all addresses",
    host, #refused == 1 and "is" or "are", shown)
end

--- of(allow, whose, host, port, timeout [, family]) -> list of the allowed addresses | nil, why, kind, code. Kind
-- "timeout" has no why. It takes at most `timeout` seconds, besides what `allow` takes; 0: the host is not looked up.
function M.of(allow, whose, host, port, timeout, family)
  local list, err = { host }, nil
  if timeout > 0 then list, err = look_up(whose, host, timeout, family) end
  if not list and err.kind == "timeout" then return nil, nil, "timeout", "ETIMEDOUT" end
  if not list then return nil, err.message:gsub("^looking up '.-': ", ""), err.kind, err.code end
  local zone = host:find(":", 1, true) and host:match "%%.*$" or ""
  local passed, refused = {}, {}
  for _, address in ipairs(list) do
    address = address:match "^::ffff:(%d+%.%d+%.%d+%.%d+)$" or address -- what it connects to (RFC 4291 2.5.5.2)
    local to = allow(address, port) and passed or refused
    to[#to + 1] = address .. zone
  end
  if passed[1] then return passed end
  return nil, refusal(host, refused), "network", "REFUSED"
end

--- The addresses as one text, as those who dial take them.
function M.text(list) return table.concat(list, "\n", 1, math.min(#list, MOST)) .. "\n" end

return M
