-- WebSockets that come and go at random points: moonloop spec/soak/websockets.lua [SOCKETS [CLIENTS [SEED [tls]]]]
--
-- CLIENTS (200) at a time open SOCKETS (20,000) in all to a server in this process, whose handlers echo, send, sleep,
-- read in a child, fail, close or stop to read. Each client leaves at a random point: within the handshake, within
-- a frame, after some messages; with a Close frame, by closing, by a reset, by ending its side. A quarter of them stay,
-- and must get back all that they have sent. Afterwards nothing may be left: no connection, no task, no descriptor.
-- With `tls` the server speaks it; most clients do so, too, and leave in the middle of their handshake or after it.
-- The seed is printed; the same seed gives the same clients.
local disconnect = require "spec.soak.disconnect"
local handshake = require "spec.support.handshake"
local left = require "spec.support.left"
local ml = require "moonloop"
local web = ml.web

local soak = {}

local random = math.random

local ROUTES = { "/echo", "/send", "/sleep", "/child", "/fail", "/close", "/deaf", "/needs" }

--- The app of these clients.
-- @param counts how many handlers and dependencies have begun and ended
function soak.app(counts)
  local app = web.app()
  local function count(name)
    counts[name] = (counts[name] or 0) + 1
    return setmetatable({}, { __close = function() counts[name] = counts[name] - 1 end })
  end
  local function route(path, f, opts)
    app:websocket(path, opts or { ping = 1, close_timeout = 0.2, compress = true }, function(ws, req, deps)
      local _ <close> = count "handlers"
      counts.sum = (counts.sum or 0) + 1
      return f(ws, req, deps)
    end)
  end
  route("/echo", function(ws)
    for message, kind in ws:messages() do
      if kind == "text" then ws:send(message) else ws:send_binary(message) end
    end
  end)
  route("/send", function(ws)
    while ws:send(("m"):rep(random(0, 3000))) do ml.sleep(random(0, 2) / 1000) end
  end)
  route("/sleep", function(ws)
    if not ws:receive() then return end -- who has been told of the end may go on for ever
    ml.sleep(random(4) == 1 and math.huge or random(0, 5) / 1000)
  end)
  route("/child", function(ws)
    ml.gather(function() for message in ws:messages() do ws:send(message) end end,
      function() ml.sleep(math.huge) end)
  end)
  route("/fail", function(ws)
    ws:receive()
    web.abort(500, "on purpose")
  end)
  route("/close", function(ws)
    ws:receive()
    ws:close(4000, "enough")
  end)
  route("/deaf", function() ml.sleep(math.huge) end)
  local needed = web.dependency { name = "needed", function()
    ml.sleep(random(0, 2) / 1000)
    local open = count "dependencies"
    return true, function() getmetatable(open).__close() end
  end }
  route("/needs", function(ws) ws:receive() end, { depends = { needed }, use = { function(req, next)
    local res = next(req)
    if random(4) == 1 then return { refused = true }, 403 end
    return res
  end } })
  return app
end

local function leave(conn)
  local how = random(4)
  if how == 1 then
    conn:close()
  elseif how == 2 then
    conn:reset()
  elseif how == 3 then -- in order
    if conn:send(handshake.close(1000)) then conn:receive("*a", 5) end
    conn:close()
  else
    if conn:shutdown() then conn:receive("*a", 5) end
    conn:close()
  end
end

--- One client: sends its bytes, or a part, in pieces; reads something; goes.
local function play(port, ca)
  local conn = disconnect.connect(port, ca)
  if not conn then return end
  local route = ROUTES[random(#ROUTES)]
  local parts = { handshake.request(route, random(3) == 1 and
    { ["Sec-WebSocket-Extensions"] = "permessage-deflate" } or nil) }
  for i = 2, random(1, 6) do
    local kind = random(4)
    parts[i] = kind == 1 and handshake.frame(0x89, "ping")
      or kind == 2 and handshake.frame(0x82, ("b"):rep(random(0, 4000)))
      or kind == 3 and handshake.frame(0x01, "a") .. handshake.frame(0x80, "b") or handshake.text "text"
  end
  local bytes = table.concat(parts)
  if random(2) == 1 then bytes = bytes:sub(1, random(0, #bytes)) end
  local at = 1
  while at <= #bytes do
    local size = random(4) == 1 and random(1, 200) or #bytes
    if not conn:send(bytes:sub(at, at + size - 1)) then break end
    at = at + size
    if random(3) == 1 then ml.sleep(random(0, 2) / 1000) end
  end
  local wish = random(4)
  if wish == 1 then
    conn:receive("\r\n\r\n", 0.05)
  elseif wish == 2 then
    conn:receive(random(1, 10000), 0.05)
  elseif wish == 3 then
    ml.sleep(random(0, 5) / 1000)
  end
  leave(conn)
end

--- One that stays: sends messages to the echo and gets them back, then closes in order. Gives how many came back; nil
-- and what is wrong.
local function stay(port, ca)
  local ws, err = ml.ws.connect(("%s://localhost:%d/echo"):format(ca and "wss" or "ws", port),
    { timeout = 60, compress = random(2) == 1, tls = ca and { ca = ca } or nil })
  if not ws then return nil, tostring(err) end
  local messages = {}
  for i = 1, random(1, 5) do
    messages[i] = ("%d "):format(i):rep(random(0, 2000))
    ws:send(messages[i])
  end
  for i, message in ipairs(messages) do
    local got, why = ws:receive()
    if got ~= message then return nil, ("message %d of %d: %s"):format(i, #messages, tostring(why or #got)) end
  end
  ws:close()
  return #messages
end

--- One client; a quarter of them stay. `ca`: the authority, if the server speaks TLS. Gives how many messages came back
-- to it if it stayed; or nil and what is wrong.
function soak.client(port, ca)
  if random(4) == 1 then return stay(port, ca) end
  play(port, ca)
  return 0
end

--- Waits until `f()` gives `wanted`; returns what it gives in the end.
local function settle(wanted, f)
  local stop = ml.now() + 20
  local value = f()
  while value ~= wanted and ml.now() < stop do
    ml.sleep(0.01)
    value = f()
  end
  return value
end

--- soak.run(sockets, clients, seed [, cert]) -> true, figures | nil, what is wrong. `cert`: {cert =, key =} of a server
-- with TLS, and the authority.
function soak.run(sockets, clients, seed, cert)
  math.randomseed(seed)
  local counts, wrong = {}, {}
  local function check(what, is, wanted)
    if is ~= wanted then wrong[#wrong + 1] = ("%s: %s instead of %s"):format(what, is, wanted) end
  end
  do -- opens what a loop keeps from its first sockets on
    local server = assert(web.listen(web.app(), { port = 0, tls = cert }))
    local client <close> = ml.http.client { ca = cert and cert.cert }
    assert(client:get(("%s://localhost:%d/"):format(cert and "https" or "http", server.port)))
    server:stop(5)
  end
  ml.sleep(0.01)
  local tasks, descriptors = #ml.tasks(), left.descriptors()
  local server = assert(web.listen(soak.app(counts), { port = 0, keep_alive = 5, drain = 0.5, tls = cert }))
  local port, opened, completed, list = server.port, 0, 0, {}
  local function one_client()
    opened = opened + 1
    local n, why = soak.client(port, cert and cert.cert)
    completed = completed + (n or 0)
    if not n and #wrong < 5 then wrong[#wrong + 1] = "a client that stayed: " .. why end
  end
  for i = 1, clients do
    list[i] = function()
      while opened < sockets do one_client() end
    end
  end
  ml.gather(list)
  check("enough messages echoed", completed >= sockets // 4 or completed, true)
  check("connections of the server", settle(0, function() return server.connections end), 0)
  check("handlers that have not ended", settle(0, function() return counts.handlers or 0 end), 0)
  check("dependencies that are open", settle(0, function() return counts.dependencies or 0 end), 0)
  server:stop(5)
  check("tasks", settle(tasks, function() return #ml.tasks() end), tasks)
  -- The host may have opened one of its own at first use; what leaks does so with each of many sockets.
  local function has_more() return left.descriptors() > descriptors + 3 end
  check("many more descriptors", settle(false, has_more), false)
  if #wrong > 0 then return nil, table.concat(wrong, "\n") .. "\n" .. ml.dump() end
  return true, ("%d sockets opened, %d handlers begun and ended, %d messages echoed to clients that stayed"):format(
    opened, counts.sum or 0, completed)
end

if arg and arg[0]:find("websockets%.lua$") then
  local function number(i, default) return math.tointeger(tonumber(arg[i] or default)) end
  local seed = number(3, random(1, 2 ^ 31 - 1))
  print("seed " .. seed)
  local reports <close> = require("spec.support").keep_reports() -- luacheck: ignore
  local folder = arg[4] == "tls" and require "spec.support.tls".certificates { one = { signer = "self" } } or nil
  local done, text = soak.run(number(1, 20000), number(2, 200), seed, folder and folder.one)
  if folder then folder:close() end
  print(text)
  if not done then os.exit(1) end
end

return soak
