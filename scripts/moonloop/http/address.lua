--- The addresses that a request may connect to: those that the option `allow_address` lets pass.
local allowed = require "moonloop.net.allowed"
local arguments = require "moonloop.http.arguments"
local core = require "moonloop.core"
local http = require "moonloop.http.core"
local url = require "moonloop.http.url"

local raise = arguments.raise

local M = {}

--- The option `allow_address`, checked; `opts` may have others that do not go with it.
function M.check(allow, opts)
  if allow == nil then return nil end
  if allowed.check(allow) then raise("allow_address: function expected, got %s", type(allow)) end
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

-- First one family and then the other, each sorted: answers of name servers come in changing order, and a
-- connection is kept for the same text.
local function sort(list)
  local first = list[1]:find(":", 1, true) ~= nil
  table.sort(list, function(a, b)
    local of_a, of_b = (a:find(":", 1, true) ~= nil) == first, (b:find(":", 1, true) ~= nil) == first
    if of_a ~= of_b then return of_a end
    return a < b
  end)
  return list
end

--- The allowed addresses for the request, as the engine takes them; nil and an error if there are none.
-- It takes at most `timeout` seconds, besides what `allow_address` takes. With 0 the engine says that time is over.
function M.allowed(request, timeout)
  local shown, host, port = http.place(request.method, request.url)
  if not shown then return nil, host end
  local list, why, kind, code = allowed.of(request.allow_address, "ml.http", host, port, timeout)
  if list then return allowed.text(sort(list)) end
  if kind == "timeout" then
    code, why = "TIMED_OUT", ("not finished within %g s: the host is still looked up"):format(timeout)
  elseif kind == "dns" then
    code, why = "UNKNOWN_HOST", "could not resolve the host: " .. why
  end
  return nil, failure(request, shown, kind, code, why)
end

return M
