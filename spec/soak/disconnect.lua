-- Clients that go away at any moment: moonloop spec/soak/disconnect.lua [REQUESTS [CLIENTS [SEED [tls] [http2]]]]
--
-- CLIENTS (1,000) at a time send REQUESTS (100,000) in all to a server in this process: plain ones,
-- pipelines, uploads in pieces, responses that are streamed, handlers that wait, that have children,
-- or a request of their own under way. Each client leaves at a random byte of what it sends or of what
-- it gets, by closing, by a reset, by ending its side, or not at all. Afterwards nothing may be left:
-- no connection, no task, no descriptor, and no memory that grows with each part of the run.
-- A quarter of the clients stay, among those that leave: they must get all of their answers whole, of each kind one at
-- least.
-- With `tls` the server speaks it: most clients do so too, and leave in the middle of their handshake or after
-- it; the others send what is no TLS. With `http2` half of the clients speak it, and cancel a third of their streams.
-- The seed is printed; the same seed gives the same clients.
local http2 = require "spec.soak.http2_clients"
local left = require "spec.support.left"
local ml = require "moonloop"
local web = require "moonloop.web"
local rawtcp = require("spec.support").rawtcp
local receive = require("spec.support.web").receive

local soak = {}

local random = math.random

--- The app of these clients.
-- @param counts how many handlers have begun and ended, for the check that all are over
-- @param client what handlers ask with
function soak.app(counts, client)
  local app = web.app()
  local function handler(f)
    return function(req)
      counts.begun = counts.begun + 1
      local _ <close> = setmetatable({}, { __close = function() counts.ended = counts.ended + 1 end })
      return f(req)
    end
  end
  local chunk = ("0123456789"):rep(2000)
  app:get("/plain", handler(function() return "Hello" end))
  app:get("/large", handler(function() return chunk end))
  app:get("/sleep", handler(function()
    ml.sleep(random(0, 5) / 1000)
    return "slept"
  end))
  app:get("/children", handler(function()
    ml.gather(function() ml.sleep(0.002) end, function() ml.sleep(0.004) end)
    return "both"
  end))
  app:get("/stream", handler(function()
    return web.response { stream = function(out)
      for _ = 1, 60 do out:write(chunk) end
    end }
  end))
  app:get("/events", handler(function()
    return web.events(function(send)
      for i = 1, 5 do
        send(tostring(i))
        ml.sleep(0.001)
      end
    end)
  end))
  app:post("/body", handler(function(req) return tostring(#req.body) end))
  app:post("/chunks", handler(function(req)
    local n = 0
    for piece in req:chunks() do n = n + #piece end
    return tostring(n)
  end))
  app:post("/unread", handler(function() return "unread" end))
  local inner = web.app()
  inner:use(function(req, next) return next(req) end)
  inner:get("/ask/{port:int}", handler(function(req)
    local res, err = client:get(("http://127.0.0.1:%d/sleep"):format(req.params.port))
    return res and res.body or { failed = err.message }
  end))
  app:mount("/inner", inner)
  return app
end

local KINDS = { "a pipeline", "/body", "/chunks", "/unread", "/inner/ask", "/plain", "/large", "/sleep", "/children",
  "/stream", "/events" }

local function get(path) return "GET " .. path .. " HTTP/1.1\r\nHost: here\r\n\r\n" end

local function post(path, body)
  if random(2) == 1 then
    return ("POST %s HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n%s"):format(path, #body, body)
  end
  local middle = random(0, #body)
  local text = ""
  for _, piece in ipairs { body:sub(1, middle), body:sub(middle + 1) } do
    if #piece > 0 then text = text .. ("%x\r\n%s\r\n"):format(#piece, piece) end
  end
  return "POST " .. path .. " HTTP/1.1\r\nHost: here\r\nTransfer-Encoding: chunked\r\n\r\n" .. text .. "0\r\n\r\n"
end

--- What a client sends, of that kind: its bytes, and how many requests they are.
local function make_bytes(port, kind)
  if kind == 1 then
    local list = {}
    for i = 1, random(2, 8) do list[i] = get(({ "/plain", "/sleep", "/large", "/nothing" })[random(4)]) end
    return table.concat(list), #list
  elseif kind == 2 then
    return post("/body", ("b"):rep(random(0, 30000))), 1
  elseif kind == 3 then
    return post("/chunks", ("c"):rep(random(0, 200000))), 1
  elseif kind == 4 then
    return post("/unread", ("u"):rep(random(0, 100000))), 1
  elseif kind == 5 then
    return get("/inner/ask/" .. port), 1
  end
  return get(KINDS[kind]), 1
end

-- A connection with TLS, with the methods of rawtcp's.
local Secure = {}
Secure.__index = Secure

function Secure:send(bytes) return (self.conn:write(bytes)) end

function Secure:receive(what, seconds)
  local _, got = ml.catch(ml.timeout, seconds or 60, function()
    if type(what) == "number" then return self.conn:read(what) end
    return what == "*a" and self.conn:read "a" or self.conn:read_until(what)
  end)
  return got
end

function Secure:shutdown() return (self.conn:shutdown()) end
function Secure:close() self.conn:close() end
function Secure:reset() self.conn:close() end

--- A connection, or nil. `ca`: the authority, if the server speaks TLS. `alpn`: what to ask for. `stays`: whether it is
-- to be one that works.
function soak.connect(port, ca, alpn, stays)
  if not ca or (not stays and random(4) == 1) then return rawtcp.connect(port) end
  local limit = not stays and random(2) == 1 and random(0, 100) / 1000 or 60
  local tls = { ca = ca, alpn = alpn }
  local ok, conn = ml.catch(ml.timeout, limit, ml.net.connect, "localhost", port, { tls = tls })
  return ok and conn and setmetatable({ conn = conn }, Secure)
end

local function leave(conn)
  local how = random(3)
  if how == 1 then
    conn:close()
  elseif how == 2 then
    conn:reset()
  else -- the server closes, or has the answers read
    if conn:shutdown() then conn:receive("*a", 5) end
    conn:close()
  end
end

--- Sends the bytes in pieces, as far as the server takes them.
local function send(conn, bytes)
  local at = 1
  while at <= #bytes do
    local size = random(4) == 1 and random(1, 200) or #bytes
    if not conn:send(bytes:sub(at, at + size - 1)) then break end
    at = at + size
    if random(3) == 1 then ml.sleep(random(0, 2) / 1000) end
  end
end

--- What a client has to say: {kind =, bytes =, count = of requests, wanted = streams of HTTP/2, alpn =}. `o.http2`: it
-- may be in HTTP/2.
function soak.talk(port, o)
  local talk = {}
  if o.http2 and random(2) == 1 then
    talk.bytes, talk.count, talk.wanted = http2.make()
    talk.alpn, talk.kind = { "h2" }, "HTTP/2"
  else
    local kind = random(#KINDS)
    talk.kind, talk.bytes, talk.count = KINDS[kind], make_bytes(port, kind)
  end
  return talk
end

--- One that leaves: sends its bytes, or a part; reads something; goes.
local function play(port, talk, ca)
  local conn = soak.connect(port, ca, talk.alpn)
  if not conn then return end
  local bytes = talk.bytes
  if random(2) == 1 then bytes = bytes:sub(1, random(0, #bytes)) end
  if talk.wanted and random(4) == 1 then bytes = bytes .. http2.goodbye() end
  send(conn, bytes)
  local wish = random(4)
  if wish == 1 then
    conn:receive("\r\n\r\n", 0.05)
  elseif wish == 2 then
    conn:receive(random(1, 100000), 0.05)
  elseif wish == 3 then
    ml.sleep(random(0, 5) / 1000)
  end
  leave(conn)
end

--- How many responses of HTTP/1 have come whole; nil and what is wrong.
local function complete(conn, count)
  for i = 1, count do
    local ok, res, why = ml.catch(receive, conn)
    if not ok or not res or res.broken then
      return nil, ("answer %d of %d: %s"):format(i, count, tostring(why or res and res.broken or res))
    end
    if res.status ~= 200 and res.status ~= 404 then return nil, "the status " .. res.status end
  end
  return count
end

--- One that stays. Gives how many of its requests were answered; nil and what is wrong.
local function stay(port, talk, ca)
  local conn = soak.connect(port, ca, talk.alpn, true)
  if not conn then return nil, "no connection" end
  send(conn, talk.bytes)
  local completed, why
  if talk.wanted then
    completed, why = http2.complete(conn, talk.wanted)
  else
    completed, why = complete(conn, talk.count)
  end
  leave(conn)
  return completed, why
end

--- One client that says so; a quarter of them stay, or this one does: `stays`. `ca`: the authority, if the server
-- speaks TLS. Gives how many of its requests were answered whole if it stayed, else 0; or nil and what is wrong.
function soak.client(port, talk, ca, stays)
  if stays or random(4) == 1 then return stay(port, talk, ca) end
  play(port, talk, ca)
  return 0
end

--- Bytes of memory in use, and of addresses.
local function resident()
  local file <close> = assert(io.open("/proc/self/statm"))
  local addresses, pages = file:read("n", "n")
  return pages * 4096, addresses * 4096
end

--- Waits until `f()` gives `wanted`; returns what it gives in the end.
local function settle(wanted, f)
  local stop = ml.now() + 10
  local value = f()
  while value ~= wanted and ml.now() < stop do
    ml.sleep(0.01)
    value = f()
  end
  return value
end

--- Opens what a loop keeps from its first socket on, and from its first request: libuv's spare descriptor,
-- and the set that the client's connections are watched in.
local function warm_up(cert)
  local server = assert(web.listen(web.app(), { port = 0 }))
  local client <close> = ml.http.client()
  assert(client:get(("http://127.0.0.1:%d/"):format(server.port)))
  server:stop(5)
  if not cert then return end
  server = assert(web.listen(web.app(), { port = 0, tls = cert }))
  assert(stay(server.port, { bytes = get "/", count = 1 }, cert.cert))
  server:stop(5)
end

--- soak.run(requests, clients, seed [, o]) -> true, figures | nil, what is wrong. `o.cert`: {cert =, key =} of a server
-- with TLS, and the authority. `o.http2`: clients speak it, too.
function soak.run(requests, clients, seed, o)
  o = o or {}
  local cert, ca = o.cert, o.cert and o.cert.cert
  math.randomseed(seed)
  local counts, wrong = { begun = 0, ended = 0 }, {}
  local function check(what, is, wanted)
    if is ~= wanted then wrong[#wrong + 1] = ("%s: %s instead of %s"):format(what, is, wanted) end
  end
  warm_up(cert)
  ml.sleep(0.01)
  local tasks, descriptors = #ml.tasks(), left.descriptors()
  local client = ml.http.client { timeout = 60 }
  local server = assert(web.listen(soak.app(counts, client), { port = 0, tls = cert, http2 = o.http2 and "clear" }))
  local port, sent, completed, disappointed, of_kind = server.port, 0, 0, 0, {}
  local function one_client()
    local talk = soak.talk(port, o)
    sent = sent + talk.count
    local is_first = not of_kind[talk.kind]
    of_kind[talk.kind] = of_kind[talk.kind] or 0
    local n, why = soak.client(port, talk, ca, is_first)
    completed = completed + (n or 0)
    of_kind[talk.kind] = of_kind[talk.kind] + (n or 0)
    if not n then
      disappointed = disappointed + 1
      if disappointed <= 5 then wrong[#wrong + 1] = "a client that stayed: " .. why end
    end
  end
  -- All clients, until so many requests have been sent and all of them have ended.
  local function play_until(most)
    local list = {}
    for i = 1, clients do
      list[i] = function()
        while sent < most do one_client() end
      end
    end
    ml.gather(list)
    settle(0, function() return counts.begun - counts.ended end) -- connections of the client stay open
    collectgarbage()
    collectgarbage()
  end
  -- Memory is compared between moments at which nothing is under way. What leaks grows in every part of
  -- the run; what the allocator keeps after the busiest moment grows in one.
  play_until(requests // 10)
  local memory, addresses = resident()
  local grown = math.huge
  for part = 2, 4 do
    play_until(requests * part // 4)
    local now = resident()
    grown, memory = math.min(grown, (now - memory) / 2 ^ 20), now
  end
  client:close()
  check("enough exchanges completed", completed >= requests // 10 or completed, true)
  for i = 1, #KINDS + (o.http2 and 1 or 0) do
    local kind = KINDS[i] or "HTTP/2"
    if (of_kind[kind] or 0) == 0 then wrong[#wrong + 1] = "no exchange was completed: " .. kind end
  end
  check("connections of the server", settle(0, function() return server.connections end), 0)
  check("handlers that have not ended", settle(0, function() return counts.begun - counts.ended end), 0)
  server:stop(5)
  check("tasks", settle(tasks, function() return #ml.tasks() end), tasks)
  check("descriptors", settle(descriptors, left.descriptors), descriptors)
  -- ASan, which is known by the terabytes of addresses that it reserves, keeps 256 MB of what is freed.
  local most = addresses < 2 ^ 40 and 5 or 5 + 256
  if grown > most then
    check("memory grown in each third by", ("%.0f MB or more"):format(grown), ("at most %d MB"):format(most))
  end
  if #wrong > 0 then return nil, table.concat(wrong, "\n") .. "\n" .. ml.dump() end
  return true, ("%d requests sent, %d answered whole to clients that stayed, %d handlers begun and ended, "
    .. "memory grown by at least %.1f MB in each third"):format(sent, completed, counts.begun, grown)
end

if arg and arg[0]:find("disconnect%.lua$") then
  local function number(i, default) return math.tointeger(tonumber(arg[i] or default)) end
  local seed = number(3, random(1, 2 ^ 31 - 1))
  print("seed " .. seed)
  local words = { [arg[4] or ""] = true, [arg[5] or ""] = true }
  local folder = words.tls and require "spec.support.tls".certificates { one = { signer = "self" } } or nil
  local done, text = soak.run(number(1, 100000), number(2, 1000), seed,
    { cert = folder and folder.one, http2 = words.http2 })
  if folder then folder:close() end
  print(text)
  if not done then os.exit(1) end
end

return soak
