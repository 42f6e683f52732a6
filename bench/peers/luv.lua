-- luv, as one would write a server on it: a coroutine a request, requests taken apart with patterns,
-- JSON by lua-cjson. It checks nothing and has no limits.
local uv = require "luv"
local json = require "cjson"

local upstream_host, upstream_port = os.getenv("UPSTREAM"):match("^http://([^:]+):(%d+)$")
local piece = ("x"):rep(65536)

local function fib(n)
  if n < 2 then return n end
  return fib(n - 1) + fib(n - 2)
end

local function sleep(ms)
  local co, timer = coroutine.running(), uv.new_timer()
  timer:start(ms, 0, function()
    timer:close()
    assert(coroutine.resume(co))
  end)
  coroutine.yield()
end

local idle = {} -- kept connections to the upstream

local function ask(i, done)
  local function exchange(connection)
    local got = ""
    function connection.on_data(data)
      got = got .. data
      local _, head = got:find("\r\n\r\n", 1, true)
      local length = head and tonumber(got:lower():match("content%-length: (%d+)"))
      if not length or #got < head + length then return end
      idle[#idle + 1] = connection
      done(json.decode(got:sub(head + 1, head + length)))
    end
    connection.socket:write("GET /up?i=" .. i .. " HTTP/1.1\r\nHost: " .. upstream_host .. "\r\n\r\n")
  end

  local kept = table.remove(idle)
  if kept then return exchange(kept) end
  local connection = { socket = uv.new_tcp() }
  connection.socket:connect(upstream_host, tonumber(upstream_port), function(err)
    assert(not err, err)
    connection.socket:nodelay(true)
    connection.socket:read_start(function(_, data) if data then connection.on_data(data) end end)
    exchange(connection)
  end)
end

local routes = {
  ["/json"] = function() return { message = "Hello, World!", n = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 } } end,
  ["/sleep"] = function()
    sleep(100)
    return { data = "ok" }
  end,
  ["/sum"] = function(_, body)
    local sum = 0
    for _, item in ipairs(json.decode(body).items) do sum = sum + item end
    return { sum = sum }
  end,
  ["/fanout"] = function()
    local co, results, left = coroutine.running(), {}, 3
    for i = 1, 3 do
      ask(i, function(value)
        results[i] = value
        left = left - 1
        if left == 0 then assert(coroutine.resume(co)) end
      end)
    end
    coroutine.yield()
    return { a = results[1], b = results[2], c = results[3] }
  end,
  ["/fib"] = function(query) return { fib = fib(tonumber(query:match "n=(%d+)")) } end,
  ["/upload"] = function(_, body) return { bytes = #body } end,
}

local function download(socket)
  local co = coroutine.running()
  socket:write("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
  for _ = 1, 160 do
    socket:write({ "10000\r\n", piece, "\r\n" }, function() assert(coroutine.resume(co)) end)
    coroutine.yield()
  end
  socket:write("0\r\n\r\n")
end

local function respond(socket, content_type, body)
  socket:write("HTTP/1.1 200 OK\r\nContent-Type: " .. content_type .. "\r\nContent-Length: " .. #body
    .. "\r\n\r\n" .. body)
end

local function handle(socket, target, body)
  local path, query = target:match("^([^?]*)%??(.*)$")
  if path == "/plaintext" then return respond(socket, "text/plain", "Hello, World!") end
  if path == "/download" then return download(socket) end
  local route, id = routes[path], path:match("^/users/([^/]+)$")
  if not route and not id then return socket:write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") end
  local value = route and route(query, body) or { id = id, q = query:match "q=([^&]*)" }
  respond(socket, "application/json", json.encode(value))
end

local function serve(socket)
  local target, missing, pieces, got = nil, 0, nil, ""
  -- A body is collected in a list, as adding to a long string for each piece copies it every time.
  local function finish_body()
    local body = table.concat(pieces)
    pieces = nil
    assert(coroutine.resume(coroutine.create(handle), socket, target, body))
  end
  socket:read_start(function(_, data)
    if not data then return socket:close() end
    if pieces then
      pieces[#pieces + 1] = data
      missing = missing - #data
      if missing == 0 then finish_body() end
      return
    end
    got = got == "" and data or got .. data
    while true do
      local _, head = got:find("\r\n\r\n", 1, true)
      if not head then return end
      local method
      method, target = got:match("^(%u+) ([^ ]+)")
      local length = method == "POST" and tonumber(got:lower():match("content%-length: (%d+)")) or 0
      local body = got:sub(head + 1, head + length)
      got = got:sub(head + length + 1)
      if #body < length then
        pieces, missing = { body }, length - #body
        return
      end
      assert(coroutine.resume(coroutine.create(handle), socket, target, body))
    end
  end)
end

uv.new_signal():start("sigpipe")
local server = uv.new_tcp()
assert(server:bind("127.0.0.1", tonumber(os.getenv "PORT")))
server:listen(4096, function()
  local socket = uv.new_tcp()
  server:accept(socket)
  socket:nodelay(true)
  serve(socket)
end)
uv.run()
