--- Servers and raw HTTP for the specs of the web.
local json = require "moonloop.json"
local rawtcp = require("spec.support").rawtcp
local process = require "spec.support.process"
local web = require "moonloop.web"

local M = {}

--- Serves `app` on a free port while `f(port, server)` runs; `opts` are listen's.
function M.serving(app, f, opts)
  opts = opts or {}
  opts.port = 0
  local server = assert(web.listen(app, opts))
  local ok, err = pcall(f, server.port, server)
  server:stop(0)
  if not ok then error(err, 0) end
end

--- The name that this machine calls itself by, for what answers to it or does not. Another one if it is
-- "localhost", or below that, which every machine answers to.
function M.machine_name()
  local name = assert(io.open "/proc/sys/kernel/hostname"):read "l"
  return ("." .. name:lower()):find "%.localhost$" and "machine.example" or name
end

--- The errors of a 422 in their order: "body.price greater_than" for each.
function M.faults(res)
  local list = {}
  for i, err in ipairs(json.decode(res.body).detail) do list[i] = table.concat(err.loc, ".") .. " " .. err.type end
  return list
end

--- The rest of a body in chunks, and why it is not complete if it is not.
local function receive_chunks(conn)
  local parts = {}
  repeat
    local size, why, rest = conn:receive("\r\n")
    if not size then return table.concat(parts) .. rest, why end
    local n = tonumber(size, 16)
    if n > 0 then parts[#parts + 1] = conn:receive(n) end
    assert(conn:receive("\r\n"))
  until n == 0
  return table.concat(parts)
end

--- Reads one response off the connection: status, headers (lower case; lists for repeated ones),
-- body (`broken` says why one in chunks is not complete). `no_body` for the answer to HEAD.
function M.receive(conn, no_body)
  local head, why = conn:receive("\r\n\r\n")
  if not head then return nil, why end
  local res = { status = tonumber(head:match("^HTTP/1%.1 (%d+) ")), headers = {}, body = "", head = head }
  for name, value in head:gmatch("\r\n([^:\r]+): ([^\r]*)") do
    name = name:lower()
    local old = res.headers[name]
    res.headers[name] = old and (type(old) == "table" and { value, table.unpack(old) } or { old, value }) or value
  end
  local n = tonumber(res.headers["content-length"] or 0)
  if n > 0 and not no_body then res.body = assert(conn:receive(n)) end
  if res.headers["transfer-encoding"] and not no_body then res.body, res.broken = receive_chunks(conn) end
  return res
end

--- Sends `text` on a connection of its own and returns the response; when it says that the
-- connection will be closed, that is waited for.
function M.ask(port, text, no_body)
  local conn <close> = assert(rawtcp.connect(port))
  assert(conn:send(text))
  local res, why = M.receive(conn, no_body)
  if not res then return nil, why end
  if res.headers.connection == "close" then assert(conn:receive("*a") == "", "bytes after the response") end
  return res
end

--- Runs a script in a process of its own, with `ml`, `web`, `support` and `rawtcp` at hand; returns
-- what it printed to both streams.
function M.run(script)
  return (process.run('local web, support = require "moonloop.web", require "spec.support.web" ' ..
    'local rawtcp = require("spec.support").rawtcp ' .. script))
end

--- One request line and headers, as HTTP/1.1.
function M.request(method, target, headers, body)
  return method .. " " .. target .. " HTTP/1.1\r\nHost: here\r\n" .. (headers or "") .. "\r\n" .. (body or "")
end

function M.get(port, target, headers) return M.ask(port, M.request("GET", target, headers)) end

function M.post(port, target, body, headers)
  return M.ask(port, M.request("POST", target, "Content-Length: " .. #body .. "\r\n" .. (headers or ""), body))
end

return M
