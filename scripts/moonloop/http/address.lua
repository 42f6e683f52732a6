--- The addresses of a host that a request may connect to: those that the option `allow_address` lets pass.
-- It is asked in the task of the request, after the look-up; the engine then connects to no others, so a
-- name that means something else the next time it is looked up gains nothing.
local arguments = require "moonloop.http.arguments"
local core = require "moonloop.core"
local http = require "moonloop.http.core"
local net = require "moonloop.net.core"
local url = require "moonloop.http.url"

local raise = arguments.raise

local M = {}

-- The engine tries so many; the kept ones are a part of what a connection is known by.
local MOST = 16

--- The option `allow_address`, checked; `opts` may have others that do not go with it.
function M.check(allow, opts)
  if allow == nil then return nil end
  if not core.is_callable(allow) then raise("allow_address: function expected, got %s", type(allow)) end
  if opts.unix_socket then raise("allow_address: unix_socket has no address, so they cannot be used together") end
  if opts.proxy then raise("allow_address and proxy cannot be used together: the proxy makes the connections") end
  return allow
end

local function failure(request, shown, kind, code, message)
  shown = http.redacted(shown)
  return core.error { kind = kind, code = code, message = ("%s %s: %s"):format(request.method, shown, message) }
end

--- The error for a request whose connections cannot be checked.
function M.unchecked(request)
  return failure(request, url.shown(request.url), "network", "REFUSED",
    "allow_address cannot check the connections of the proxy that the environment names: give `proxy = false`")
end

local function look_up(host, timeout)
  if timeout == math.huge then return net.resolve("ml.http", host) end
  return core.timeout(timeout, net.resolve, "ml.http", host)
end

-- A list of the first family and then one of the other, each sorted: answers of name servers come in
-- changing order, and a connection is kept for the same text.
local function as_text(list)
  local first = list[1]:find(":", 1, true) ~= nil
  table.sort(list, function(a, b)
    local of_a, of_b = (a:find(":", 1, true) ~= nil) == first, (b:find(":", 1, true) ~= nil) == first
    if of_a ~= of_b then return of_a end
    return a < b
  end)
  return table.concat(list, "\n", 1, math.min(#list, MOST)) .. "\n"
end

local function refusal(host, refused)
  local shown = table.concat(refused, ", ", 1, math.min(#refused, 4)) .. (#refused > 4 and ", ..." or "")
  if #refused == 1 and refused[1] == host then return ("the address %s is refused by allow_address"):format(shown) end
  return ("%s of '%s' %s refused by allow_address: %s"):format(#refused == 1 and "the address" or "all addresses",
    host, #refused == 1 and "is" or "are", shown)
end

--- The allowed addresses for the request, as the engine takes them; nil and an error if there are none.
-- It takes at most `timeout` seconds, besides what `allow_address` takes.
function M.allowed(request, timeout)
  local shown, host, port = http.place(request.method, request.url)
  if not shown then return nil, host end
  local list, err = { host }, nil
  if timeout > 0 then list, err = look_up(host, timeout) end -- if not, the engine says that time is over
  if not list and err.kind == "timeout" then
    return nil, failure(request, shown, "timeout", "TIMED_OUT",
      ("not finished within %g s: the host is still looked up"):format(timeout))
  elseif not list then
    return nil, failure(request, shown, "dns", "UNKNOWN_HOST",
      "could not resolve the host: " .. err.message:gsub("^looking up '.-': ", ""))
  end
  local zone = host:find(":", 1, true) and host:match("%%.*$") or ""
  local allowed, refused = {}, {}
  for _, address in ipairs(list) do
    address = address:match("^::ffff:(%d+%.%d+%.%d+%.%d+)$") or address -- what it connects to (RFC 4291 2.5.5.2)
    local to = request.allow_address(address, port) and allowed or refused
    to[#to + 1] = address .. zone
  end
  if not allowed[1] then return nil, failure(request, shown, "network", "REFUSED", refusal(host, refused)) end
  return as_text(allowed)
end

return M
