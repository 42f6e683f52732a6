-- Clients that go away at any moment: moonloop spec/soak/disconnect.lua [REQUESTS [CLIENTS [SEED [tls]]]]
--
-- CLIENTS (1,000) at a time send REQUESTS (100,000) in all to a server in this process: plain ones,
-- pipelines, uploads in pieces, responses that are streamed, handlers that wait, that have children,
-- or a request of their own under way. Each client leaves at a random byte of what it sends or of what
-- it gets, by closing, by a reset, by ending its side, or not at all. Afterwards nothing may be left:
-- no connection, no task, no descriptor, and no memory that grows with each part of the run.
-- With `tls` the server speaks it: most clients do so too, and leave in the middle of their handshake or after
-- it; the others send what is no TLS.
-- The seed is printed; the same seed gives the same clients.
local left = require "spec.support.left"
local ml = require "moonloop"
local web = require "moonloop.web"
local rawtcp = require("spec.support").rawtcp

local soak = {}

local random = math.random

--- @param counts how many handlers have begun and ended, for the check that all are over
-- @param client what handlers ask with
local function make_app(counts, client)
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

--- What a client sends: its bytes, and how many requests they are.
local function make_bytes(port)
  local kind = random(11)
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
  return get(({ "/plain", "/large", "/sleep", "/children", "/stream", "/events" })[kind - 5]), 1
end

-- A connection with TLS, with the methods of rawtcp's.
local Secure = {}
Secure.__index = Secure

function Secure:send(bytes) return (self.conn:write(bytes)) end

function Secure:receive(what, seconds)
  local _, got = ml.catch(ml.timeout, seconds or 5, function()
    if type(what) == "number" then return self.conn:read(what) end
    return what == "*a" and self.conn:read "a" or self.conn:read_until(what)
  end)
  return got
end

function Secure:shutdown() return (self.conn:shutdown()) end
function Secure:close() self.conn:close() end
function Secure:reset() self.conn:close() end

--- A connection, or nil. `ca`: the authority, if the server speaks TLS.
local function connect(port, ca)
  if not ca or random(4) == 1 then return rawtcp.connect(port) end
  local limit = random(2) == 1 and random(0, 100) / 1000 or 60
  local ok, conn = ml.catch(ml.timeout, limit, ml.net.connect, "localhost", port, { tls = { ca = ca } })
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

--- One client: sends its bytes, or a part, in pieces; reads something; goes.
local function play(port, bytes, ca)
  local conn = connect(port, ca)
  if not conn then return end
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
    conn:receive(random(1, 100000), 0.05)
  elseif wish == 3 then
    ml.sleep(random(0, 5) / 1000)
  end
  leave(conn)
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
  play(server.port, get "/", cert.cert)
  server:stop(5)
end

--- soak.run(requests, clients, seed [, cert]) -> true, figures | nil, what is wrong. `cert`: {cert =, key =} of a
-- server with TLS, and the authority.
function soak.run(requests, clients, seed, cert)
  math.randomseed(seed)
  local counts, wrong = { begun = 0, ended = 0 }, {}
  local function check(what, is, wanted)
    if is ~= wanted then wrong[#wrong + 1] = ("%s: %s instead of %s"):format(what, is, wanted) end
  end
  warm_up(cert)
  ml.sleep(0.01)
  local tasks, descriptors = #ml.tasks(), left.descriptors()
  local client = ml.http.client { timeout = 60 }
  local server = assert(web.listen(make_app(counts, client), { port = 0, tls = cert }))
  local port, sent = server.port, 0
  -- All clients, until so many requests have been sent and all of them have ended.
  local function play_until(most)
    local list = {}
    for i = 1, clients do
      list[i] = function()
        while sent < most do
          local bytes, count = make_bytes(port)
          sent = sent + count
          play(port, bytes, cert and cert.cert)
        end
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
  return true, ("%d requests sent, %d handlers begun and ended, memory grown by at least %.1f MB in each third"):format(
    sent, counts.begun, grown)
end

if arg and arg[0]:find("disconnect%.lua$") then
  local function number(i, default) return math.tointeger(tonumber(arg[i] or default)) end
  local seed = number(3, random(1, 2 ^ 31 - 1))
  print("seed " .. seed)
  local folder = arg[4] == "tls" and require "spec.support.tls".certificates { one = { signer = "self" } } or nil
  local done, text = soak.run(number(1, 100000), number(2, 1000), seed, folder and folder.one)
  if folder then folder:close() end
  print(text)
  if not done then os.exit(1) end
end

return soak
