-- lua-http, on cqueues; JSON by lua-cjson.
local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local http_client = require "http.client"
local http_server = require "http.server"
local new_headers = require "http.headers".new
local util = require "http.util"
local json = require "cjson"

local upstream_host, upstream_port = os.getenv("UPSTREAM"):match("^http://([^:]+):(%d+)$")
local piece = ("x"):rep(65536)

local function respond(stream, content_type, body)
  local headers = new_headers()
  headers:append(":status", "200")
  headers:append("content-type", content_type)
  headers:append("content-length", tostring(#body))
  stream:write_headers(headers, false)
  stream:write_chunk(body, true)
end

local function answer(stream, value) respond(stream, "application/json", json.encode(value)) end

local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end

local idle = {} -- kept connections to the upstream: the library has no pool

local function ask(i)
  local connection = table.remove(idle)
    or assert(http_client.connect { host = upstream_host, port = upstream_port, tls = false, version = 1.1 })
  local stream = connection:new_stream()
  local headers = new_headers()
  headers:append(":method", "GET")
  headers:append(":scheme", "http")
  headers:append(":authority", upstream_host .. ":" .. upstream_port)
  headers:append(":path", "/up?i=" .. i)
  assert(stream:write_headers(headers, true))
  assert(stream:get_headers())
  local body = assert(stream:get_body_as_string())
  idle[#idle + 1] = connection
  return json.decode(body)
end

local routes = {
  ["/plaintext"] = function(stream) respond(stream, "text/plain", "Hello, World!") end,
  ["/json"] = function(stream)
    answer(stream, { message = "Hello, World!", n = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } })
  end,
  ["/sleep"] = function(stream)
    cqueues.sleep(0.1)
    answer(stream, { data = "ok" })
  end,
  ["/sum"] = function(stream)
    local sum = 0
    for _, item in ipairs(json.decode(stream:get_body_as_string()).items) do sum = sum + item end
    answer(stream, { sum = sum })
  end,
  ["/fanout"] = function(stream)
    local results, left, done = {}, 3, condition.new()
    local loop = cqueues.running()
    for i = 1, 3 do
      loop:wrap(function()
        results[i] = ask(i)
        left = left - 1
        if left == 0 then done:signal() end
      end)
    end
    while left > 0 do done:wait() end
    answer(stream, { a = results[1], b = results[2], c = results[3] })
  end,
  ["/fib"] = function(stream, query) answer(stream, { fib = fib(tonumber(query.n)) }) end,
  ["/upload"] = function(stream, _, request)
    local bytes, length = 0, tonumber((request:get("content-length")))
    for chunk in stream:each_chunk() do bytes = bytes + #chunk end
    if bytes < length then -- the client has gone; left alone, the library (0.4) waits for the rest for ever, computing
      stream.connection:take_socket():close()
      return
    end
    answer(stream, { bytes = bytes })
  end,
  ["/download"] = function(stream)
    local headers = new_headers()
    headers:append(":status", "200")
    headers:append("content-type", "application/octet-stream")
    stream:write_headers(headers, false)
    for i = 1, 160 do stream:write_chunk(piece, i == 160) end
  end,
}

local function on_stream(_, stream)
  local request = assert(stream:get_headers())
  local path, rest = request:get(":path"):match("^([^?]*)%??(.*)$")
  local query = {}
  for name, value in util.query_args(rest) do query[name] = value end
  local route, id = routes[path], path:match("^/users/([^/]+)$")
  if route then return route(stream, query, request) end
  if id then return answer(stream, { id = id, q = query.q }) end
  local headers = new_headers()
  headers:append(":status", "404")
  stream:write_headers(headers, true)
end

local server = assert(http_server.listen {
  host = "127.0.0.1",
  port = tonumber(os.getenv "PORT"),
  tls = false,
  max_concurrent = 100000,
  intra_stream_timeout = 600,
  connection_setup_timeout = 600,
  onstream = on_stream,
  onerror = function() end, -- clients that close are no errors of ours
})
assert(server:listen())
assert(server:loop())
