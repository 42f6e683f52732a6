--- Sockets of ml.net.udp.
local allowed = require "moonloop.net.allowed"
local core = require "moonloop.core"
local net = require "moonloop.net.core"
local place = require "moonloop.net.place"
local check_options = require "moonloop.core.options".check

local bad_self, fail = core.bad_self, core.fail

local OPTIONS = {
  host = place.address,
  port = function(value)
    if math.type(value) ~= "integer" or value < 0 or value > 65535 then return "a port" end
  end,
  reuse_address = "boolean",
  allow_address = allowed.check,
}

local Udp = {}
Udp.__index = Udp
Udp.__name = "moonloop.udp_socket"

local function check(self, method)
  if getmetatable(self) ~= Udp then bad_self(self, "udp socket", method) end
  return self.socket
end

--- The first address of a host that `allow_address` lets pass; or nil and an error.
local function allowed_address(self, whose, where)
  local list, why, kind, code = allowed.of(self.allow, whose, where.host, where.port, math.huge, self.family)
  if list then return list[1] end
  return nil, core.error { kind = kind, code = code, message = ("%s: %s"):format(whose, why) }
end

--- The address of a host, which is looked up if it is a name; or nil and an error.
local function address_of(self, whose, host, port)
  local where = place.arguments(whose, host, port)
  if where.path then fail(("%s: a host and a port expected"):format(whose)) end
  if self.allow then return allowed_address(self, whose, where) end
  if place.is_address(where.host) then return where.host end
  local list, err = net.resolve(whose, where.host, self.family)
  if not list then return nil, err end
  return list[1]
end

--- send(data [, host, port]) -> socket | nil, err. Suspends to look a name up, and while the system has
-- no room.
function Udp:send(data, host, port)
  local socket = check(self, "send")
  if type(data) ~= "string" then
    fail(("bad argument #1 to 'udp:send' (string expected, got %s)"):format(type(data)))
  end
  local address, err
  if host ~= nil then
    address, err = address_of(self, "udp:send", host, port)
    if not address then return nil, err end
  end
  local ok
  ok, err = socket:send(data, address, port)
  if not ok then return nil, err end
  return self
end

--- receive([max]) -> data, host, port, truncated | nil, err. Suspends.
function Udp:receive(max)
  return check(self, "receive"):receive(max)
end

--- connect(host, port) -> socket | nil, err: from now on it sends to this peer, and receives from no other.
function Udp:connect(host, port)
  local socket = check(self, "connect")
  local address, err = address_of(self, "udp:connect", host, port)
  if not address then return nil, err end
  local ok
  ok, err = socket:connect(address, port)
  if not ok then return nil, err end
  return self
end

--- join(group) -> socket | nil, err: receives what is sent to the group, an address.
function Udp:join(group)
  local ok, err = check(self, "join"):join(group)
  if not ok then return nil, err end
  return self
end

--- address() -> host, port
function Udp:address() return check(self, "address"):address() end

function Udp:close() check(self, "close"):close() end

Udp.__close = Udp.close

--- udp([opts]) -> socket | nil, err
return function(opts)
  opts = check_options(opts, OPTIONS, "ml.net.udp")
  local socket, err = net.udp { host = opts.host, port = opts.port, reuse = opts.reuse_address }
  if not socket then return nil, err end
  local family = opts.host and (opts.host:find(":", 1, true) and 6 or 4) or 0
  return setmetatable({ socket = socket, family = family, allow = opts.allow_address }, Udp)
end
