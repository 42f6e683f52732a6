--- ml.net: connections, servers, datagrams, names. What is said of hosts and options is decided here;
-- moonloop.net.core does the rest.
local allowed = require "moonloop.net.allowed"
local core = require "moonloop.core"
local net = require "moonloop.net.core"
local place = require "moonloop.net.place"
local check_options = require "moonloop.core.options".check

local fail = core.fail

local M = {}

local CONNECT = {
  timeout = place.seconds,
  nodelay = "boolean",
  keepalive = place.whole_seconds,
  bind = place.address,
  max_line = place.positive,
  tls = "boolean|table",
  allow_address = allowed.check,
}

local TIMEOUT = 10 -- seconds for a connection, and its handshake

local OF_TCP = { "bind", "nodelay", "keepalive", "allow_address" }

local function shown(where)
  if where.path then return "unix:" .. where.path end
  return (where.host:find(":", 1, true) and "[%s]:%d" or "%s:%d"):format(where.host, where.port)
end

local function failure(where, kind, code, why)
  return core.error { kind = kind, code = code, message = ("connecting to %s: %s"):format(shown(where), why) }
end

--- Speaks TLS on a new connection, in what is left of its time.
local function secure(conn, where, opts, began)
  local limit = opts.timeout or TIMEOUT
  local is_secured = false
  -- Also if a cancel came together with the connection.
  local _ <close> = setmetatable({}, { __close = function()
    if not is_secured then conn:close() end
  end })
  local ok, err = core.timeout(math.max(limit - (core.now() - began), 0), conn.starttls, conn, opts.tls)
  is_secured = ok
  if ok then return conn end
  if err.kind == "timeout" then
    err = failure(where, "timeout", "ETIMEDOUT", ("no TLS for %g s (its timeout)"):format(limit))
  end
  return nil, err
end

local function dial(where, opts, timeout, addresses)
  return net.connect("ml.net.connect", {
    host = where.host,
    port = where.port,
    path = where.path,
    timeout = timeout,
    nodelay = opts.nodelay,
    keepalive = opts.keepalive,
    bind = opts.bind,
    addresses = addresses,
  })
end

--- Connects to those of the host's addresses that `opts.allow_address` lets pass, in `limit` seconds.
local function dial_allowed(where, opts, limit, began)
  local list, why, kind, code = allowed.of(opts.allow_address, "ml.net.connect", where.host, where.port, limit)
  if kind == "timeout" then why = ("the host is still looked up after %g s (its timeout)"):format(limit) end
  if not list then return nil, failure(where, kind, code, why) end
  local conn, err
  local left = limit - (core.now() - began)
  if left > 0 then conn, err = dial(where, opts, left, allowed.text(list)) end
  if conn or err and err.kind ~= "timeout" then return conn, err end
  return nil, failure(where, "timeout", "ETIMEDOUT", ("no answer for %g s (its timeout)"):format(limit))
end

--- connect(host, port [, opts]) -> connection | nil, err; connect("unix:PATH" [, opts]). Suspends until
-- one of the host's addresses has answered (RFC 8305).
function M.connect(host, port, opts)
  local where
  where, opts = place.arguments("ml.net.connect", host, port, opts)
  opts = check_options(opts, CONNECT, "ml.net.connect")
  for _, name in ipairs(where.path and OF_TCP or {}) do
    if opts[name] ~= nil then
      fail(("ml.net.connect: the option '%s' is for TCP, and %q is a Unix socket"):format(name, "unix:" .. where.path))
    end
  end
  if opts.tls then net.check_tls(opts.tls, false, "the option 'tls' of ml.net.connect") end
  local began = core.now()
  if where.port == 0 then fail "ml.net.connect: port 0 cannot be connected to" end
  local conn, err
  if opts.allow_address then
    conn, err = dial_allowed(where, opts, opts.timeout or TIMEOUT, began)
  else
    conn, err = dial(where, opts, opts.timeout)
  end
  if not conn then return nil, err end
  if opts.max_line then conn.max_line = opts.max_line end
  if opts.tls then return secure(conn, where, opts, began) end
  return conn
end

--- listen(host, port [, opts] [, f]) -> server | nil, err: see moonloop.net.server.
function M.listen(...) return require "moonloop.net.server".listen(...) end

--- udp([opts]) -> socket | nil, err: see moonloop.net.udp.
function M.udp(opts) return require "moonloop.net.udp"(opts) end

local RESOLVE = {
  family = function(value)
    if value ~= 4 and value ~= 6 then return "4 or 6" end
  end,
}

--- resolve(name [, opts]) -> list of addresses | nil, err. Suspends.
function M.resolve(name, opts)
  place.check_host("ml.net.resolve", name)
  opts = check_options(opts, RESOLVE, "ml.net.resolve")
  return net.resolve("ml.net.resolve", name, opts.family)
end

return M
