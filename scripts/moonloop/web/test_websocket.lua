--- WebSockets of the test client: the client of ml.ws, on a pipe in memory.
local auth = require "moonloop.http.auth"
local connect_in_memory = require "moonloop.net.core".connect_in_memory
local connecting = require "moonloop.websocket"
local core = require "moonloop.core"
local parse_url = require "moonloop.websocket.url"
local socket_options = require "moonloop.websocket.options"
local test = require "moonloop.web.test"

local KNOWN = { cookies = "table" }
for name, check in pairs(connecting.known) do
  if name ~= "tls" and name ~= "allow_address" then KNOWN[name] = check end
end

--- The headers of the handshake: the client's and the socket's own, with cookies, which replace those kept.
local function headers_of(client, path, opts)
  local headers, names = {}, {}
  local function add(list)
    for name, value in pairs(list or {}) do
      local lower = type(name) == "string" and name:lower() or name
      headers[names[lower] or name] = nil
      headers[name], names[lower] = value, name
    end
  end
  add { Authorization = auth.value(client.opts.auth) }
  add(client.opts.headers)
  add(opts.headers)
  if not names.cookie then add { Cookie = test.cookie_header(client, path:match "^[^?#]*", opts.cookies) } end
  return headers
end

--- Makes the object raise what its handler has failed with, where it would say that the socket is closed.
local function watch(ws, failures, id)
  local class = debug.getmetatable(ws)
  local methods, own = class.__index, {}
  for key, value in next, class do own[key] = value end
  local function receive(self)
    local message, kind = methods.receive(self)
    if message == nil then test.raise_failure(failures, id) end
    return message, kind
  end
  own.__index = setmetatable({
    receive = receive,
    messages = function(self) return receive, self end,
  }, { __index = methods })
  return debug.setmetatable(ws, own)
end

--- c:websocket(path [, opts]) -> ws | nil, err
return function(client, path, opts)
  if client.closed then error(core.error { kind = "closed", message = "the test client is closed" }, 0) end
  if type(path) ~= "string" or path:sub(1, 1) ~= "/" then
    core.fail(("bad argument #1 to 'websocket' (a path such as \"/ws\" expected, got %s)"):format(
      type(path) == "string" and path or type(path)))
  end
  local where = parse_url("ws" .. client.base:sub(#"http" + 1):gsub("/+$", "") .. path)
  opts = socket_options.check(opts, "c:websocket", KNOWN)
  opts.headers = headers_of(client, path, opts)
  opts.timeout = opts.timeout or client.opts.timeout or math.huge
  local id
  local ws, err = connecting.connect_by(function()
    local conn, pipe = connect_in_memory(client.server.core.memory)
    if not conn then return nil, core.error { kind = "closed", message = "the test client is closed" } end
    id = pipe << 32 -- memory_end_request: the first one on this pipe
    return conn
  end, where, opts)
  if not ws then
    if id then test.raise_failure(client.failures, id) end
    return nil, err
  end
  return watch(ws, client.failures, id)
end
