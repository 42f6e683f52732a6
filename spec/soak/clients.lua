-- Requests of the client that are broken off at random moments (cancels.lua): moonloop spec/soak/clients.lua [CANCELS
-- [SEED [RUN]]]
--
-- Requests with and without bodies, in pieces, streams, events and several at once, over HTTP/1.1 and HTTP/2, in clear
-- and with TLS; WebSockets and plain connections in both ways. The server is in this process, directly, or behind a
-- proxy that delays, cuts and freezes. Each operation has to be done at least once, and a tenth of the number that is
-- broken off in all. No answer may be given to the wrong task, and in the end the server has no connection, and no
-- descriptor is left. RUN: a part of the name of a run.
local cancels = require "spec.soak.cancels"
local left = require "spec.support.left"
local ml = require "moonloop"
local proxies = require "spec.support.proxy"
local tls = require "spec.support.tls"

local soak = {}

local random = math.random

local REPEATED = 20000 -- times that a text is in a long body

-- --- the server ---

local function make_app()
  local app = ml.web.app()
  app:get("/text/{text}", function(req)
    if random(4) == 1 then ml.sleep(random() * 0.003) end
    return req.params.text
  end)
  app:post("/body", function(req) return req.body end)
  app:post("/pieces", function(req)
    local parts = {}
    for piece in req:chunks() do parts[#parts + 1] = piece end
    return table.concat(parts)
  end)
  app:get("/long/{text}", function(req) return req.params.text:rep(REPEATED) end)
  app:get("/stream/{text}", function(req)
    return ml.web.response { stream = function(out)
      for i = 1, 20 do
        out:write(req.params.text:rep(REPEATED // 20))
        if i % 8 == 0 then ml.sleep(0.001) end
      end
    end }
  end)
  local hub = ml.web.hub { name = "clients" }
  app:get("/events/{text}", function(req)
    return ml.web.events(function(send)
      hub:join(send, req.params.text)
      while true do
        hub:publish(req.params.text, req.params.text)
        ml.sleep(0.001)
      end
    end)
  end)
  app:websocket("/ws", { compress = true }, function(ws)
    for message in ws:messages() do ws:send(message) end
  end)
  return app
end

-- --- operations, each with (text, n) ---

local function body(res, err)
  if not res then return nil, err end
  if res.status ~= 200 then return res.status .. " " .. res.body end
  return res.body
end

-- The text, if the long body is nothing but it.
local function once(got, text)
  if got == text:rep(REPEATED) then return text end
  return ("%d bytes that begin with %s"):format(#got, got:sub(1, 40))
end

local function of_http(client)
  local list = {}

  function list.get(text) return body(client:get("/text/" .. text)) end

  function list.post(text) return body(client:post("/body", { body = text })) end

  function list.pieces(text)
    local at = 0
    return body(client:post("/pieces", { body = function()
      if random(3) == 1 then ml.sleep(0) end
      at = at + 1
      return at <= #text and text:sub(at, at) or nil
    end }))
  end

  function list.long(text)
    local got, err = body(client:get("/long/" .. text))
    return got and once(got, text), err
  end

  function list.stream(text)
    local res <close>, err = client:get("/stream/" .. text, { stream = true })
    if not res then return nil, err end
    local parts = {}
    while true do
      local chunk, why = res:read()
      if why then return nil, why end
      if not chunk then return once(table.concat(parts), text) end
      parts[#parts + 1] = chunk
      if random(10) == 1 then ml.sleep(0) end
    end
  end

  function list.events(text)
    local res <close>, err = client:get("/events/" .. text, { stream = true })
    if not res then return nil, err end
    local parts = ""
    repeat
      local chunk, why = res:read()
      if not chunk then return nil, why end
      parts = parts .. chunk
    until parts:find "\n\n"
    return parts:match "^data: ([^\n]*)\n\n"
  end

  function list.together(text)
    local tasks = {}
    for i = 1, 3 do tasks[i] = { client.get, client, "/text/" .. text .. i } end
    local ok, answers = pcall(ml.gather, tasks, {})
    if not ok then -- one of them has failed
      if ml.is_error(answers) and answers.kind ~= "cancelled" and answers.kind ~= "timeout" then return nil, answers end
      error(answers, 0)
    end
    for i = 1, 3 do
      if body(answers[i]) ~= text .. i then return body(answers[i]) end
    end
    return text
  end

  return list
end

-- A connection in clear that a proxy has ended in the middle of a line: what came is no error.
local CUT = "the connection ended before its line"

local function of_sockets(o)
  local list = {}

  function list.websocket(text)
    local url = ("%s://localhost:%d/ws"):format(o.ca and "wss" or "ws", o.port)
    local ws <close>, err = ml.ws.connect(url,
      { tls = o.ca and { ca = o.ca } or nil, compress = random(2) == 1, timeout = 60 })
    if not ws then return nil, err end
    local long = text:rep(random(1, 500))
    for _ = 1, 3 do
      local sent, why = ws:send(long)
      if not sent then return nil, why end
    end
    for _ = 1, 3 do
      local got, why = ws:receive()
      if not got then return nil, why end
      if got ~= long then return got:sub(1, 40) end
    end
    return text
  end

  function list.connection(text)
    local conn <close>, err = ml.net.connect("localhost", o.echo, { tls = o.ca and { ca = o.ca } or nil, timeout = 60 })
    if not conn then return nil, err end
    local ok, why = conn:write(text, "\n")
    if not ok then return nil, why end
    local line
    line, why = conn:read "L"
    if why then return nil, why end
    line = line or ""
    if line:sub(-1) == "\n" then return line:sub(1, -2) end
    return nil, text:sub(1, #line) == line and CUT or "another's line: " .. line
  end

  return list
end

-- --- the runs ---

local passing = { network = true, timeout = true, closed = true, tls = true }

-- Errors that a cut explains.
local function is_passing(err)
  return err == CUT or ml.is_error(err) and passing[err.kind] == true
end

-- Who cancels so many streams is sent away by the server; and those whose handlers still run count for its limit.
local function is_flood(err)
  local text = ml.is_error(err) and err.message or ""
  return text:find "ENHANCE_YOUR_CALM" ~= nil or text:find "REFUSED_STREAM" ~= nil
end

-- Each: {name =, what =, tls = boolean, proxy = boolean}.
local runs = {}
for _, by in ipairs { "directly", "through a proxy that makes faults" } do
  for _, secure in ipairs { false, true } do
    for _, what in ipairs { "HTTP/1.1", "HTTP/2", "sockets" } do
      local name = ("%s%s, %s"):format(what, secure and " with TLS" or "", by)
      table.insert(runs, { name = name, what = what, tls = secure, proxy = by ~= "directly" })
    end
  end
end

local function run(way, count, cert)
  local secure = way.tls and cert or nil
  local server <close> = assert(ml.web.listen(make_app(), { port = 0, tls = secure, http2 = "clear" }))
  local listener <close> = assert(ml.net.listen("127.0.0.1", 0, { tls = secure }, function(conn)
    ml.catch(function() -- clients reset it
      for line in conn:lines() do conn:write(line, "\n") end
    end)
  end))
  local _, echo = listener:address()
  local o = { cancels = count, longest = 0.01 }
  local proxy <close> = way.proxy and proxies.start(server.port) or nil
  local echo_proxy <close> = way.proxy and proxies.start(echo) or nil
  local port = proxy and proxy.port or server.port
  local client <close> = ml.http.client { base_url = ("%s://localhost:%d"):format(way.tls and "https" or "http", port),
    ca = way.tls and cert.cert or nil, timeout = 60, max_connections = 16,
    http2 = way.what == "HTTP/2" and (way.tls or "clear") or false }
  if way.what == "sockets" then
    o.operations = of_sockets { port = port, echo = echo_proxy and echo_proxy.port or echo, ca = secure and cert.cert }
  else
    o.operations = of_http(client)
  end
  function o.may_fail(err)
    return way.what == "HTTP/2" and is_flood(err) or way.proxy and is_passing(err) or false
  end
  if proxy then
    o.disturb = cancels.harass(proxy)
    cancels.harass(echo_proxy)
  end
  local books = cancels.run(o)
  if proxy then
    proxy:harass(nil)
    echo_proxy:harass(nil)
  end
  local list = of_http(client)
  cancels.wait_until("the client does not work any more", function() return list.get "rest" == "rest" end)
  client:close()
  cancels.wait_until("the server has connections of nobody", function() return server.connections == 0 end)
  return books
end

--- run(cancels, seed [, progress [, which]]): breaks so many operations off in each run; raises where anything is
-- wrong. progress(text).
function soak.run(count, seed, progress, which)
  local folder <close> = tls.is_there() and tls.certificates { one = { signer = "self" } } or nil
  local before
  for _, way in ipairs(runs) do
    math.randomseed(seed)
    local skipped = way.tls and not folder and "openssl is not installed"
    if not skipped and (not which or way.name:find(which, 1, true)) then
      local books = run(way, count, folder and folder.one)
      before = before or left.descriptors() -- of the first run: what a loop keeps is open now
      if progress then
        local times = {}
        for name, n in pairs(books.times) do times[#times + 1] = ("%s %d"):format(name, n) end
        table.sort(times)
        progress(("%s: %d broken off, %d failed, %d done: %s"):format(way.name, books.cancelled, books.failed,
          books.done, table.concat(times, ", ")))
      end
      cancels.wait_until("descriptors are left", function() return left.descriptors() <= before + 3 end, function()
        return ("%d, %d after the first run"):format(left.descriptors(), before)
      end)
    elseif skipped and progress then
      progress(way.name .. ": " .. skipped)
    end
  end
end

if not (arg and arg[0] and arg[0]:find("soak/clients%.lua$")) then return soak end

local wanted = math.tointeger(tonumber(arg[1] or 10000))
local seed = math.tointeger(tonumber(arg[2] or os.time()))
assert(wanted and seed, "usage: moonloop spec/soak/clients.lua [CANCELS] [SEED] [RUN]")
print(("clients soak: seed %d"):format(seed))
soak.run(wanted, seed, function(text) print("clients soak: " .. text) end, arg[3])
