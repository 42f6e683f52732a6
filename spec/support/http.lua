--- Servers on plain TCP, which decide on every byte they send, for the specs of HTTP clients.
local ml = require "moonloop"
local rawtcp = require("spec.support").rawtcp
local assert = require "luassert"
local busted = require "busted"
local tls = require "spec.support.tls"
local before_each, after_each, setup, teardown, pending =
  busted.before_each, busted.after_each, busted.setup, busted.teardown, busted.pending

local M = {}

local servers = {}

-- With this set, `serve` makes servers of https: a folder of spec.support.tls with the pair "server".
local certificates

--- A connection of ml.net with TLS, with what rawtcp's have.
local Secure = {}
Secure.__index = Secure

local function came(text, err)
  if text and text ~= "" then return text end
  return nil, err and (err.code == "TIMEOUT" and "timeout" or err.code) or "closed", ""
end

function Secure:receive(what, seconds)
  self.conn.timeout = seconds or 60
  if what == nil then return came(self.conn:read_some()) end
  if type(what) == "number" then
    local text, err = self.conn:read(what)
    if text and #text < what then return nil, "closed", text end
    return came(text, err)
  end
  if what == "*a" then return self.conn:read("a") or "" end
  local text, err = self.conn:read_until(what, 1 << 30)
  if text and text:sub(-#what) ~= what then return nil, "closed", text end
  return came(text, err)
end

function Secure:send(text)
  self.conn.timeout = 60
  return self.conn:write(text) ~= nil
end

function Secure:shutdown() return self.conn:shutdown() end

function Secure:close() self.conn:close() end

Secure.reset = Secure.close
Secure.__close = Secure.close

--- The same as M.serve, with TLS.
local function serve_tls(talk)
  local server = { connections = 0, open = 0 }
  local group = certificates.server
  server.net = assert(ml.net.listen("127.0.0.1", 0, { tls = { cert = group.cert, key = group.key } }, function(conn)
    server.connections = server.connections + 1
    server.open = server.open + 1
    local _ <close> = setmetatable({}, { __close = function() server.open = server.open - 1 end })
    talk(setmetatable({ conn = conn }, Secure), server.connections)
  end))
  local _, port = server.net:address()
  server.listener = { port = port }
  server.url = "https://127.0.0.1:" .. port
  servers[#servers + 1] = server
  return server
end

--- Reads one request: its head, and its body, by Content-Length or in chunks. nil when the client has
-- closed.
function M.read_request(conn)
  local head = conn:receive("\r\n\r\n", 60)
  if not head then return nil end
  local length = tonumber(head:match("\r\n[Cc]ontent%-[Ll]ength: (%d+)"))
  if length then return head, length > 0 and conn:receive(length) or "" end
  if not head:lower():find("\r\ntransfer-encoding: chunked", 1, true) then return head, "" end
  local pieces = {}
  while true do
    local size = tonumber((assert(conn:receive("\r\n"))), 16)
    local piece = assert(conn:receive(size + 2))
    if size == 0 then return head, table.concat(pieces), pieces end
    pieces[#pieces + 1] = piece:sub(1, -3)
  end
end

--- Answers every request of a connection with `reply`, a text or a function of the head and the body.
function M.answering(reply)
  return function(conn)
    for head, body in M.read_request, conn do
      local text = type(reply) == "string" and reply or reply(head, body)
      if not conn:send(text) then return end
    end
  end
end

--- A server whose connections are given to `talk(conn, n)`, each in a task of its own, and closed when
-- that returns. It counts them: `connections` in all, `open` ones.
function M.serve(talk)
  if certificates then return serve_tls(talk) end
  local server = { listener = rawtcp.listen(), connections = 0, open = 0 }
  server.url = "http://127.0.0.1:" .. server.listener.port
  server.task = ml.spawn(function()
    while true do
      local conn = server.listener:accept(60)
      if not conn then return end
      server.connections = server.connections + 1
      local n = server.connections
      ml.spawn(function()
        local _ <close> = conn
        server.open = server.open + 1
        talk(conn, n)
        server.open = server.open - 1
      end)
    end
  end)
  servers[#servers + 1] = server
  return server
end

--- Do the servers speak TLS?
function M.is_https() return certificates ~= nil end

--- Stops all servers: for after_each.
function M.stop()
  for _, server in ipairs(servers) do
    if server.net then
      server.net:stop()
    else
      server.task:cancel()
      server.listener:close()
    end
  end
  servers = {}
end

--- A response of 200 with `body`; `headers` are whole lines.
function M.ok(body, headers)
  return ("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s"):format(headers or "", #body, body)
end

--- A server that answers 200 with the request it got as the body.
function M.serve_echo()
  return M.serve(M.answering(function(head, body) return M.ok(head .. body) end))
end

--- The request's header line `name`, without the name; all of them where there are several.
function M.header(head, name)
  local found = {}
  for line_name, value in head:gmatch("\r\n([^:\r\n]+):[ \t]*([^\r\n]*)") do
    if line_name:lower() == name:lower() then found[#found + 1] = value end
  end
  return table.unpack(found)
end

--- Checks that what came is nil and an error of this kind and code; gives the error.
function M.assert_error(kind, code, result, err)
  assert.is_nil(result)
  assert.is_true(ml.is_error(err))
  assert.equal(kind .. " " .. tostring(code), err.kind .. " " .. tostring(err.code))
  return err
end

--- The like of ml.http whose clients all have these options.
local function with_options(options)
  local client
  local function own()
    client = client or ml.http.client(options)
    return client
  end
  local http = {
    client = function(opts)
      local with = {}
      for _, from in ipairs { options, opts or {} } do
        for key, value in pairs(from) do with[key] = value end
      end
      return ml.http.client(with)
    end,
    request = function(request) return own():request(request) end,
  }
  for _, verb in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
    http[verb] = function(url, opts) return own()[verb](own(), url, opts) end
  end
  return http
end

--- Describes the same over https: `specs(http)` gets the like of ml.http that trusts the servers, which speak TLS.
function M.over_https(describe, name, specs)
  local options = {}
  describe(name .. ", https,", function()
    if not tls.is_there() then return pending "openssl is not installed" end
    local folder
    setup(function()
      folder = tls.certificates { server = {} }
      options.ca = folder.ca
    end)
    before_each(function() certificates = folder end)
    after_each(function() certificates = nil end)
    teardown(function() folder:close() end)
    specs(with_options(options))
  end)
end

--- Describes the same for both ways a request can take: `specs(http)` gets ml.http, whose requests without options
-- are one C function, and then its like with a client that keeps cookies, which scripts handle. With `https`, it is
-- shown over https as well.
function M.on_both_ways(describe, name, specs, https)
  describe(name, function() specs(ml.http) end)
  if https then M.over_https(describe, name, specs) end
  describe(name .. ", with cookies,", function() specs(with_options { cookies = true }) end)
end

return M
