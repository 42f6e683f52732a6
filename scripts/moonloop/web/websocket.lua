--- WebSocket routes: what app:websocket takes, the handshake (RFC 6455 section 4.2), and the response 101 whose
-- function runs with the socket.
local core = require "moonloop.web.core"
local is_origin = require "moonloop.web.cors".is_origin
local options = require "moonloop.core.options"
local response = require "moonloop.web.response"
local route_options = require "moonloop.web.route_options"
local socket_options = require "moonloop.websocket.options"
local fail = require "moonloop.core".fail
local has_token = require "moonloop.http.has_token"
local origin_of = require "moonloop.http.url".origin
local TOKEN = require "moonloop.http.token"

local M = {}

local WHOSE = "app:websocket"

--- Options of routes that a WebSocket's cannot have, and why.
local BODY = "the request of a handshake has no body"
local REFUSED = { offload = "a socket is served on the loop that has it", body = BODY, form = BODY, max_body = BODY,
  response = "the response is always a 101" }

-- --- options ---

local function protocols(value)
  if type(value) ~= "table" or #value == 0 then return "a list of names, the preferred one first" end
  for i, name in pairs(value) do
    if math.type(i) ~= "integer" or type(name) ~= "string" or not name:find(TOKEN) then
      return "a list of names, the preferred one first; each is a token such as chat.v1"
    end
  end
end

local ORIGINS = "\"*\", or a list of origins such as https://example.com"

local function origins(value)
  if value == "*" then return nil end
  if type(value) ~= "table" or #value == 0 then return ORIGINS end
  for i, origin in pairs(value) do
    if math.type(i) ~= "integer" or type(origin) ~= "string" or not is_origin(origin) then return ORIGINS end
  end
end

local OWN = { protocols = protocols, origins = origins }

--- Raises that there is no such option, and names those that there are.
local function unknown(name)
  local known = {}
  for _, names in ipairs { OWN, socket_options.known, route_options.known } do
    for key in pairs(names) do known[key] = not REFUSED[key] or nil end
  end
  fail(options.unknown(name, known, WHOSE))
end

--- Takes the options apart: those of the route, and those of its sockets.
function M.options(opts)
  if opts == nil then return {}, socket_options.check({}, WHOSE) end
  if type(opts) ~= "table" then fail(options.problem(opts, {}, WHOSE)) end
  local route, own, socket = {}, {}, {}
  for name, value in pairs(opts) do
    if REFUSED[name] then
      fail(("option '%s' of %s: a WebSocket's route cannot have it: %s"):format(name, WHOSE, REFUSED[name]))
    end
    local to = OWN[name] and own or socket_options.known[name] and socket or route
    if to == route and not route_options.known[name] then unknown(name) end
    to[name] = value
  end
  options.check(own, OWN, WHOSE)
  socket = socket_options.check(socket, WHOSE)
  for name, value in pairs(own) do socket[name] = value end
  return route, socket
end

-- --- the handshake ---

local UPGRADE = { Upgrade = "websocket", Connection = "Upgrade" }

local function refuse(status, detail, headers) error(core.abort(status, detail, headers), 0) end

--- The origin as it is compared: "https://example.com" and "https://example.com:443" are one.
local function normal(origin) return origin_of(origin) or origin:lower() end

--- Makes check(req), which refuses pages of origins that are not meant.
local function origin_check(list)
  if list == "*" then return function() end end
  local allowed = {}
  for _, origin in ipairs(list or {}) do allowed[normal(origin)] = true end
  return function(req)
    local origin = req.headers.origin
    if not origin then return end -- no browser
    local own = not list and ("%s://%s"):format(req.scheme, req.host or "")
    if list and allowed[normal(origin)] or own and normal(own) == normal(origin) then return end
    refuse(403, ("pages of %s may not open this WebSocket: it is for those of %s"):format(
      is_origin(origin) and origin or "a malformed origin", own or table.concat(list, ", ")))
  end
end

--- Makes check(req), which raises what answers a request that is no handshake of a client that may come in.
local function check_of(socket)
  local check_origin = origin_check(socket.origins)
  return function(req)
    local headers = req.headers
    local problem = core.upgrade_problem(req)
    if problem == "plain" or not has_token(headers.upgrade, "websocket") or
        not has_token(headers.connection, "upgrade") then
      refuse(426, "this is a WebSocket: the request has to be its handshake", UPGRADE)
    end
    if problem then refuse(400, problem) end
    if headers["sec-websocket-version"] ~= "13" then
      refuse(426, "the WebSocket version has to be 13", { Upgrade = "websocket", Connection = "Upgrade",
        ["Sec-WebSocket-Version"] = "13" })
    end
    local key = headers["sec-websocket-key"]
    if not key or not key:find "^[%w+/]+==$" or #key ~= 24 then
      refuse(400, "Sec-WebSocket-Key is not 16 bytes in base64")
    end
    check_origin(req)
  end
end

--- The first of the server's names that the client has offered, or nil.
local function choose(names, offered)
  if not names or not offered then return nil end
  local has = {}
  for name in offered:gmatch "[^,%s]+" do has[name] = true end
  for _, name in ipairs(names) do
    if has[name] then return name end
  end
end

-- --- the response ---

--- Makes accept(req, deps), which returns the 101: the handler f(ws, req, deps) runs when that is written.
local function accept_of(f, socket)
  local websocket = require "moonloop.websocket.core"
  require "moonloop.websocket.methods"
  return function(req, deps)
    local headers = req.headers
    local protocol = choose(socket.protocols, headers["sec-websocket-protocol"])
    local extensions, agreed
    if socket.compress then
      extensions, agreed = websocket.accept_deflate(headers["sec-websocket-extensions"], socket.compress)
    end
    local res = response.new { status = 101, headers = { Upgrade = "websocket", Connection = "Upgrade",
      ["Sec-WebSocket-Accept"] = websocket.accept_key(headers["sec-websocket-key"]),
      ["Sec-WebSocket-Protocol"] = protocol, ["Sec-WebSocket-Extensions"] = extensions } }
    rawset(res, "_upgrade", function(ws) return f(ws, req, deps) end)
    rawset(res, "_socket", { protocol = protocol, deflate = agreed, options = socket })
    return res
  end
end

--- Makes the route one of WebSockets: `check` looks at the request before anything else does, and the handler
-- accepts it.
function M.prepare(route, socket)
  route.check, route.handler = check_of(socket), accept_of(route.handler, socket)
end

return M
