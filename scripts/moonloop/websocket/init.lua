--- ml.ws: a client of WebSockets (RFC 6455 section 4.1).
local allowed = require "moonloop.net.allowed"
local core = require "moonloop.core"
local fields = require "moonloop.http.fields"
local has_token = require "moonloop.http.has_token"
local net = require "moonloop.net"
local parse_url = require "moonloop.websocket.url"
local place = require "moonloop.net.place"
local socket_options = require "moonloop.websocket.options"
local trim = require "moonloop.core.trim"
local websocket = require "moonloop.websocket.core"
local TOKEN = require "moonloop.http.token"
require "moonloop.websocket.methods"

local fail = core.fail

local M = {}

local WHOSE = "ml.ws.connect"
local TIMEOUT = 10            -- seconds, for the connection and its handshake
local LONGEST_HEAD = 64 * 1024 -- bytes of the response, with interim ones

--- The names of the options, and what is checked of each.
M.known = {
  headers = "table",
  tls = "table",
  allow_address = allowed.check,
  timeout = place.seconds,
  protocols = function(value)
    if type(value) ~= "table" or #value == 0 then return "a list of names" end
    for _, name in ipairs(value) do
      if type(name) ~= "string" or not name:find(TOKEN) then return "a list of names, each a token such as chat.v1" end
    end
  end,
}
for name, check in pairs(socket_options.known) do M.known[name] = check end

--- Headers that the handshake sets itself.
local OWN = { connection = true, upgrade = true, ["content-length"] = true, ["transfer-encoding"] = true }

local function collect(headers)
  local set = fields.collect(headers, {})
  for name, field in pairs(set) do
    if OWN[name] or name:find "^sec%-websocket%-" then
      fail(("%s: the header '%s' is set by the handshake itself"):format(WHOSE, field[1]))
    end
  end
  return set
end

--- The text of the request.
local function request(where, opts, set, key)
  local lines = {
    ("GET %s HTTP/1.1"):format(where.target),
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: " .. key,
    "Sec-WebSocket-Version: 13",
  }
  if not set.host then table.insert(lines, 2, "Host: " .. where.authority) end
  if opts.protocols then lines[#lines + 1] = "Sec-WebSocket-Protocol: " .. table.concat(opts.protocols, ", ") end
  if opts.compress then lines[#lines + 1] = "Sec-WebSocket-Extensions: " .. websocket.offer_deflate(opts.compress) end
  for _, field in pairs(set) do
    for i = 2, #field do lines[#lines + 1] = field[1] .. ": " .. field[i] end
  end
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

--- The status and the headers (lower case; several of a name joined) of a response's head; or nil.
local function parse(head)
  local status, rest = head:match "^HTTP/1%.[01] (%d%d%d)[^\r\n]*\r\n(.*)$"
  if not status then return nil end
  local headers = {}
  for line in rest:gmatch "(.-)\r\n" do
    if line ~= "" then
      local name, value = line:match "^([^%s:]+):(.*)$"
      if not name then return nil end
      name = name:lower()
      local list = headers[name] or {}
      headers[name], list[#list + 1] = list, trim(value)
    end
  end
  for name, list in pairs(headers) do headers[name] = table.concat(list, ", ") end
  return tonumber(status), headers
end

local function is_offered(protocols, protocol)
  for _, name in ipairs(protocols or {}) do
    if name == protocol then return true end
  end
  return false
end

local function refused(where, why, status)
  local message = ("connecting to %s: %s"):format(where.authority, why)
  return nil, core.error { kind = "network", code = "HANDSHAKE", message = message, status = status }
end

--- What was agreed on: {protocol =, deflate =}; or nil and an error (RFC 6455 section 4.1).
local function agree(where, opts, key, status, headers)
  if not status then return refused(where, "the answer is not that of an HTTP server") end
  if status ~= 101 then
    local why = ("the server has not accepted the WebSocket: it answered with status %d"):format(status)
    return refused(where, why, status)
  end
  if (headers.upgrade or ""):lower() ~= "websocket" or not has_token(headers.connection, "upgrade") then
    return refused(where, "the server has switched to something else than a WebSocket", status)
  end
  if headers["sec-websocket-accept"] ~= websocket.accept_key(key) then
    return refused(where, "the server's Sec-WebSocket-Accept does not belong to our key", status)
  end
  local protocol, extensions = headers["sec-websocket-protocol"], headers["sec-websocket-extensions"]
  if protocol and not is_offered(opts.protocols, protocol) then
    return refused(where, "the server has chosen a protocol that was not offered", status)
  end
  local deflate
  if extensions then
    deflate = opts.compress and websocket.agree_deflate(extensions, opts.compress)
    if not deflate then return refused(where, "the server has chosen an extension that was not offered", status) end
  end
  return { protocol = protocol, deflate = deflate, options = opts }
end

--- Asks for the upgrade on a connection. Returns what was agreed on, or nil and an error.
local function shake_hands(conn, where, opts, set)
  local key = websocket.new_key()
  local ok, err = conn:write(request(where, opts, set, key))
  if not ok then return nil, err end
  local head, status, headers
  local left = LONGEST_HEAD
  repeat -- responses such as 103 come before the one that counts
    head, err = conn:read_until("\r\n\r\n", left)
    if not head and err then return nil, err end
    if not head or head:sub(-4) ~= "\r\n\r\n" then
      return refused(where, "the server has closed the connection instead of answering")
    end
    left = left - #head
    if left <= 0 then return refused(where, "the answer is too long") end
    status, headers = parse(head)
  until not status or status >= 200 or status == 101
  return agree(where, opts, key, status, headers)
end

--- connect_by(dial, where, opts) -> ws | nil, err: the handshake on the connection that dial(seconds) returns, within
-- the time of the options, which are checked. `where` is as of moonloop.websocket.url.
function M.connect_by(dial, where, opts)
  local set = collect(opts.headers)
  local limit, began = opts.timeout or TIMEOUT, core.now()
  local conn, err = dial(limit)
  if not conn then return nil, err end
  local guard <close> = setmetatable({ conn = conn }, { __close = function(self) -- luacheck: ignore guard
    if self.conn then self.conn:close() end
  end })
  local left = math.max(limit - (core.now() - began), 0)
  local agreed
  if limit == math.huge then
    agreed, err = shake_hands(conn, where, opts, set)
  else
    agreed, err = core.timeout(left, shake_hands, conn, where, opts, set)
    if not agreed and err.kind == "timeout" then
      local message = ("connecting to %s: no answer for %g s (its timeout)"):format(where.authority, limit)
      err = core.error { kind = "timeout", code = "ETIMEDOUT", message = message }
    end
  end
  if not agreed then return nil, err end
  guard.conn = nil
  return websocket.open(conn, agreed)
end

--- connect(url [, opts]) -> ws | nil, err. Suspends until the server has accepted.
function M.connect(url, opts)
  local where = parse_url(url)
  opts = socket_options.check(opts, WHOSE, M.known)
  if opts.tls and not where.is_secure then fail(WHOSE .. ": the option 'tls' is for URLs with wss://") end
  local function dial(limit)
    return net.connect(where.host, where.port, { timeout = limit, allow_address = opts.allow_address,
      tls = where.is_secure and (opts.tls or true) or nil })
  end
  return M.connect_by(dial, where, opts)
end

return M
