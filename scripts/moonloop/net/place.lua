--- Where to connect to or listen: hosts and ports, paths of Unix sockets, and checks of options.
local core = require "moonloop.core"

local fail = core.fail

local M = {}

local LONGEST_PATH = 107 -- bytes, of the system's sockaddr_un
local LONGEST_HOST = 255

--- Checks of option values: nil if it is right, or what is expected.
function M.seconds(value)
  if type(value) ~= "number" or value <= 0 or value ~= value then return "a positive number of seconds" end
end

function M.whole_seconds(value)
  if math.type(value) ~= "integer" or value < 1 or value > 32767 then
    return "an integer from 1 to 32767"
  end
end

function M.positive(value)
  if math.type(value) ~= "integer" or value < 1 then return "a positive integer" end
end

--- An address of IPv4 or IPv6, not a name.
function M.is_address(text)
  return type(text) == "string" and (text:find "^%d+%.%d+%.%d+%.%d+$" or text:find "^[%x:.%%%w]*:[%x:.%%%w]*$") ~= nil
end

function M.address(value)
  if not M.is_address(value) then return "an address" end
end

--- Raises if `host` is not a name or an address.
function M.check_host(whose, host)
  if type(host) ~= "string" then
    fail(("bad argument #1 to '%s' (a host expected, got %s)"):format(whose, type(host)))
  end
  if host == "" or #host > LONGEST_HOST or host:find "[%z%s]" then
    fail(("bad argument #1 to '%s' ('%s' is not the name of a host)"):format(whose, host:gsub("[%c]", "?")))
  end
end

local function check_port(whose, port)
  if math.type(port) ~= "integer" then
    fail(("bad argument #2 to '%s' (a port expected, got %s)"):format(whose, type(port)))
  end
  if port < 0 or port > 65535 then
    fail(("bad argument #2 to '%s' (%d is not a port: 0 to 65535)"):format(whose, port))
  end
end

--- Takes the arguments (host, port, rest...) or ("unix:PATH", rest...) apart. Returns a table with host
-- and port, or path; and the rest.
function M.arguments(whose, host, port, ...)
  local path = type(host) == "string" and host:match "^unix:(.*)$"
  if not path then
    M.check_host(whose, host)
    check_port(whose, port)
    return { host = host:match "^%[(.*)%]$" or host, port = port }, ...
  end
  if path == "" or path:find "%z" or #path > LONGEST_PATH then
    fail(("bad argument #1 to '%s' (the path of a Unix socket has 1 to %d bytes, and none is zero)"):format(
      whose, LONGEST_PATH))
  end
  return { path = path }, port, ...
end

return M
