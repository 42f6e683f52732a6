--- Servers on plain TCP, which decide on every byte they send, for the specs of HTTP clients.
local ml = require "moonloop"
local rawtcp = require("spec.support").rawtcp
local assert = require "luassert"

local M = {}

local servers = {}

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

--- Stops all servers: for after_each.
function M.stop()
  for _, server in ipairs(servers) do
    server.task:cancel()
    server.listener:close()
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

--- Describes the same for both engines: `specs(http)` gets ml.http, whose http:// is the plain one, and
-- then its like with a client that keeps cookies, which is libcurl's.
function M.on_both_engines(describe, name, specs)
  describe(name, function() specs(ml.http) end)
  local client = ml.http.client { cookies = true }
  local curl = {
    client = function(opts)
      local with = { cookies = true }
      for key, value in pairs(opts or {}) do with[key] = value end
      return ml.http.client(with)
    end,
    request = function(request) return client:request(request) end,
  }
  for _, verb in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
    curl[verb] = function(url, opts) return client[verb](client, url, opts) end
  end
  describe(name .. ", libcurl,", function() specs(curl) end)
end

return M
