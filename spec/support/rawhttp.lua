--- Servers that decide on every byte they send, for the specs of HTTP clients.
local ml = require "moonloop"
local rawtcp = require("spec.support").rawtcp

local M = {}
local opened = {}

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
  opened[#opened + 1] = server
  return server
end

--- Ends all servers: for after_each.
function M.stop()
  for _, server in ipairs(opened) do
    server.task:cancel()
    server.listener:close()
  end
  opened = {}
end

--- Reads a request: its head, and its body by Content-Length. nil when the client has closed.
function M.receive(conn)
  local head = conn:receive("\r\n\r\n", 60)
  if not head then return nil end
  local length = tonumber(head:match("\r\nContent%-Length: (%d+)"))
  return head, length and length > 0 and conn:receive(length) or ""
end

--- Answers the requests of a connection with `reply`: a text, or a function of head and body.
function M.answering(reply)
  return function(conn)
    for head, body in M.receive, conn do
      if not conn:send(type(reply) == "string" and reply or reply(head, body)) then return end
    end
  end
end

--- A response of status 200; `headers` are whole lines.
function M.ok(body, headers)
  return ("HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s"):format(headers or "", #body, body)
end

--- Waits until `f()` is true.
function M.wait_until(f)
  assert(ml.timeout(10, function()
    while not f() do ml.sleep(0.001) end
    return true
  end))
end

--- Checks that `result, err` is nil and an error object of that kind and code.
function M.assert_error(kind, code, result, err)
  assert(result == nil, "it did not fail")
  assert(ml.is_error(err), "no error object")
  local found, expected = err.kind .. " " .. tostring(err.code), kind .. " " .. tostring(code)
  assert(found == expected, ("%s expected, got %s: %s"):format(expected, found, err.message))
  return err
end

return M
