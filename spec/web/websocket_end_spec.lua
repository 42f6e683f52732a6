-- How the sockets of app:websocket end: by their handlers, their clients, and their servers.
local ml = require "moonloop"
local handshake = require "spec.support.handshake"
local keep_reports = require("spec.support").keep_reports
local served = require "spec.support.served"
local support = require "spec.support.web"
local web = ml.web

--- Serves an app with the route "/ws" while f(open, server, port) runs; open() -> a connection that has shaken hands.
local function serving(handler, f, opts)
  local app = web.app()
  app:websocket("/ws", handler)
  support.serving(app, function(port, server)
    f(function(target)
      local conn, res = handshake.open(port, target or "/ws")
      assert.equal(101, res.status)
      return conn
    end, server, port)
  end, opts)
end

--- An object that puts `word` into the queue when its block is left.
local function leaving(queue, word)
  return setmetatable({}, { __close = function(_, err) queue:put { word, err and (err.message or err) } end })
end

--- The log of a handler that was cancelled since its client has gone.
local function is_cancelled(log)
  local entry = log:get()
  assert.equal("left", entry[1])
  assert.matches("client disconnected", tostring(entry[2]), 1, true)
end

describe("the handler of a WebSocket", function()
  it("closes with 1000 by leaving, or as it says", function()
    serving(function(ws)
      local message = ws:receive()
      if message == "own" then ws:close(4001, "because") end
    end, function(open)
      for text, code in pairs { x = 1000, own = 4001 } do
        local conn <close> = open()
        conn:send(handshake.text(text))
        assert.equal(code, handshake.read_close(conn))
        conn:send(handshake.close(code))
        assert.equal("", conn:receive "*a")
      end
    end)
  end)

  it("closes with 1011 by an error, which is reported with its traceback", function()
    local reports <close> = keep_reports()
    local function fail(what)
      if what == "abort" then web.abort(403, "no") end
      if what == "nil" then return nil, "not found" end
      error("broken " .. what)
    end
    serving(function(ws)
      local what = ws:receive()
      if what == "nil" then return fail(what) end
      fail(what)
    end, function(open)
      for what, text in pairs { x = "broken x", abort = "403 no", ["nil"] = "not found" } do
        local conn <close> = open()
        conn:send(handshake.text(what))
        assert.equal(1011, handshake.read_close(conn))
        assert.matches("the WebSocket of GET /ws failed", reports:text(), 1, true)
        assert.matches(text, reports:text(), 1, true)
        assert.matches("in the handler of GET /ws (spec/web/websocket_end_spec.lua:", reports:text(), 1, true)
      end
      assert.matches("stack traceback", reports:text())
    end)
  end)

  it("is no failure if it returns that the socket is closed", function()
    local over = ml.queue()
    serving(function(ws)
      local _ <close> = leaving(over, "left")
      return select(1, nil, select(2, ws:receive()))
    end, function(open)
      local conn <close> = open()
      conn:send(handshake.close(1000))
      assert.equal(1000, handshake.read_close(conn))
      assert.same({ "left" }, over:get())
    end)
  end)

  it("keeps its socket open, even if it does not take it", function()
    local go = ml.event()
    serving(function() go:wait() end, function(open)
      local conn <close> = open()
      for _ = 1, 3 do
        collectgarbage()
        ml.sleep(0)
      end
      conn:send(handshake.frame(0x89, "ping"))
      assert.same({ 0x8a, "ping" }, { handshake.read(conn) })
      go:set()
      assert.equal(1000, handshake.read_close(conn))
    end)
  end)

  it("may leave tasks behind, as one of a request, for which the socket is closed", function()
    local log, go = ml.queue(), ml.event()
    serving(function(ws)
      ml.spawn(function()
        go:wait()
        local sent, err = ws:send "late"
        log:put { sent == nil, err.kind }
      end)
      ws:receive()
    end, function(open, server)
      local conn <close> = open()
      conn:send(handshake.text "x")
      assert.equal(1000, handshake.read_close(conn))
      conn:send(handshake.close(1000))
      assert.equal("", conn:receive "*a")
      assert.equal(1, server.tasks)
      go:set()
      assert.same({ true, "closed" }, log:get())
    end)
  end)
end)

describe("a client of a WebSocket", function()
  it("that vanishes ends receive with an error, and the handler goes on", function()
    local log = ml.queue()
    serving(function(ws)
      local message, err = ws:receive()
      ml.sleep(0.01) -- it is not cancelled: it knows
      log:put { message == nil, err.kind, err.code, ws:send("x") == nil }
    end, function(open)
      open():reset()
      assert.same({ true, "closed", 1006, true }, log:get())
      open():close()
      assert.same({ true, "closed", 1006, true }, log:get())
    end)
  end)

  it("that vanishes cancels a handler that waits for something else", function()
    local log = ml.queue()
    serving(function(ws)
      local _ <close> = leaving(log, "left")
      ws:receive()
      log:put "received"
      ml.sleep(math.huge)
    end, function(open)
      for _, how in ipairs { "reset", "close" } do
        local conn = open()
        conn:send(handshake.text "x")
        assert.equal("received", log:get())
        conn[how](conn)
        is_cancelled(log)
      end
    end)
  end)

  it("that vanishes is noticed even if nobody reads what it has sent", function()
    local log = ml.queue()
    serving(function()
      local _ <close> = leaving(log, "left")
      log:put "runs"
      ml.sleep(math.huge)
    end, function(open)
      local conn = open()
      assert.equal("runs", log:get())
      local payload = handshake.text(("z"):rep(60000))
      for _ = 1, 5 do conn:send(payload) end
      ml.sleep(0.1)
      conn:reset()
      is_cancelled(log)
    end)
  end)

  it("that vanishes is noticed even if the end is behind more than the system takes unread", function()
    local app, log = web.app(), ml.queue()
    app:websocket("/ws", { ping = 0.1 }, function()
      local _ <close> = leaving(log, "left")
      ml.sleep(math.huge)
    end)
    support.serving(app, function(port)
      local conn = handshake.open(port, "/ws")
      local payload = handshake.text(("z"):rep(60000))
      for _ = 1, 10 do conn:send(payload) end
      conn:close()
      is_cancelled(log)
    end)
  end)

  it("that closes in order does not cancel a handler that is busy with what it has received", function()
    local log, go = ml.queue(), ml.event()
    serving(function(ws)
      for message in ws:messages() do
        go:wait()
        log:put(message)
      end
      ml.sleep(0.01)
      log:put "over"
    end, function(open)
      local conn <close> = open()
      conn:send(handshake.text "one" .. handshake.text "two" .. handshake.close(1001))
      assert.equal(1001, handshake.read_close(conn))
      assert.equal("", conn:receive "*a")
      go:set()
      assert.equal("one", log:get())
      assert.equal("two", log:get())
      assert.equal("over", log:get())
    end)
  end)

  it("that closes in order gives such a handler the time `drain`", function()
    local log = ml.queue()
    serving(function(ws)
      local _ <close> = leaving(log, "left")
      ws:receive()
      ml.sleep(math.huge)
    end, function(open)
      local conn <close> = open()
      conn:send(handshake.text "one" .. handshake.close(1000))
      assert.equal(1000, handshake.read_close(conn))
      is_cancelled(log)
    end, { drain = 0.1 })
  end)

  it("that closes in order cancels a handler that does not read itself", function()
    local log = ml.queue()
    local function sends(ws)
      local _ <close> = leaving(log, "left")
      while true do
        ml.sleep(0.001)
        ws:send("tick")
      end
    end
    local function leaves_it_to_a_child(ws)
      local _ <close> = leaving(log, "left")
      ml.spawn(function()
        for message in ws:messages() do
          ml.sleep(0.01)
          log:put(message)
        end
        log:put "read"
      end)
      ml.sleep(math.huge)
    end
    serving(sends, function(open)
      local conn <close> = open()
      assert.same({ 0x81, "tick" }, { handshake.read(conn) })
      conn:send(handshake.close(1000))
      is_cancelled(log)
    end)
    serving(leaves_it_to_a_child, function(open)
      local conn <close> = open()
      conn:send(handshake.text "one" .. handshake.text "two" .. handshake.close(1000))
      assert.equal("one", log:get())
      assert.equal("two", log:get())
      assert.equal("read", log:get())
      is_cancelled(log)
    end)
  end)

  it("may go while its handshake is handled", function()
    local app, log, go = web.app(), ml.queue(), ml.event()
    app:use(function(req, next)
      local _ <close> = leaving(log, "left")
      log:put "came"
      go:wait()
      return next(req)
    end)
    app:websocket("/ws", function() log:put "handled" end)
    support.serving(app, function(port)
      local conn = assert(require("spec.support").rawtcp.connect(port))
      conn:send(handshake.request "/ws")
      assert.equal("came", log:get())
      conn:reset()
      is_cancelled(log)
    end)
  end)

  it("that answers no ping has vanished", function()
    local app, log = web.app(), ml.queue()
    app:websocket("/ws", { ping = 0.1 }, function(ws)
      local _, err = ws:receive()
      log:put(err.code)
    end)
    support.serving(app, function(port)
      local conn <close> = handshake.open(port, "/ws")
      assert.equal(0x89, (handshake.read(conn)))
      assert.equal(1006, log:get())
    end)
  end)
end)

describe("a server with WebSockets", function()
  it("closes them with 1001 when it stops, and waits for their handlers", function()
    local log = ml.queue()
    serving(function(ws)
      local _, err = ws:receive()
      ml.sleep(0.05)
      log:put(err.code)
    end, function(open, server)
      local conn <close> = open()
      local stopping = ml.spawn(function()
        server:stop(60)
        log:put "stopped"
      end)
      assert.equal(1001, handshake.read_close(conn))
      conn:send(handshake.close(1001))
      assert.equal(1001, log:get())
      assert.equal("stopped", log:get())
      stopping:await()
    end)
  end)

  it("cancels those that take longer than `drain`, whose clients say nothing", function()
    local log = ml.queue()
    serving(function(ws)
      local _ <close> = leaving(log, "left")
      while true do
        ws:receive()
        ml.sleep(1000)
      end
    end, function(open, server)
      local conn <close> = open()
      local reports <close> = keep_reports()
      server:stop(0.1)
      assert.equal(1001, handshake.read_close(conn))
      assert.equal("left", log:get()[1])
      assert.matches("the time for stopping is over", reports:text(), 1, true)
    end)
  end)

  it("closes them with 1012 when others take its place", function()
    serving(function(ws) ws:receive() end, function(open, server)
      local conn <close> = open()
      local retiring = ml.spawn(server.retire, server, 60)
      assert.equal(1012, handshake.read_close(conn))
      conn:send(handshake.close(1012))
      retiring:await()
    end)
  end)

  it("opens those whose handshake had begun, and closes them", function()
    local app, go, log = web.app(), ml.event(), ml.queue()
    app:use(function(req, next)
      log:put "came"
      go:wait()
      return next(req)
    end)
    app:websocket("/ws", function(ws) log:put(select(2, ws:receive()).code) end)
    support.serving(app, function(port, server)
      local conn <close> = assert(require("spec.support").rawtcp.connect(port))
      conn:send(handshake.request "/ws")
      assert.equal("came", log:get())
      local stopping = ml.spawn(server.stop, server, 60)
      ml.sleep(0)
      go:set()
      assert.equal(101, support.receive(conn).status)
      assert.equal(1001, handshake.read_close(conn))
      conn:send(handshake.close(1001))
      assert.equal(1001, log:get())
      stopping:await()
    end)
  end)

  it("does not apply the time limits of HTTP to them, but counts them", function()
    serving(function(ws)
      for message in ws:messages() do ws:send(message) end
    end, function(open, server, port)
      local conn <close> = open()
      local other = assert(require("spec.support").rawtcp.connect(port)) -- waits to be accepted
      other:send(support.request("GET", "/none"))
      ml.sleep(0.5)
      assert.equal(1, server.connections)
      conn:send(handshake.text "still there")
      assert.same({ 0x81, "still there" }, { handshake.read(conn) })
      conn:send(handshake.close())
      assert.is_false(handshake.read_close(conn))
      assert.equal(404, support.receive(other).status)
      other:close()
    end, { keep_alive = 0.1, header_timeout = 0.1, body_timeout = 0.1, write_timeout = 0.1, max_connections = 1 })
  end)

  it("has a line for each in its access log", function()
    local app, entries = web.app(), ml.queue()
    app:websocket("/ws", function(ws) ws:receive() end)
    support.serving(app, function(port)
      local conn <close> = handshake.open(port, "/ws?q=1", { ["X-Forwarded-For"] = "1.2.3.4" })
      ml.sleep(0.05)
      assert.equal(0, entries:len())
      conn:send(handshake.text "x")
      local entry = entries:get()
      assert.same({ 101, "GET", "/ws?q=1", "1.2.3.4" }, { entry.status, entry.method, entry.target, entry.client })
      assert.is_true(entry.duration >= 0.05)
      assert.equal(1000, handshake.read_close(conn))
    end, { trusted_proxies = "127.0.0.1", access_log = function(entry) entries:put(entry) end })
  end)

  it("names the tasks of its handlers", function()
    serving(function(ws) ws:receive() end, function(open)
      local conn <close> = open() -- luacheck: ignore
      local found
      for _ = 1, 1000 do
        for _, task in ipairs(ml.tasks()) do
          local waits = task.waiting_for or ""
          if tostring(task.name):find("GET /ws", 1, true) and waits:find "message" then found = true end
        end
        if found then break end
        ml.sleep(0.01)
      end
      assert.is_true(found)
    end)
  end)
end)

local APP = [[
  local ml = require "moonloop"
  local app = ml.web.app()
  app:websocket("/ws", function(ws)
    ws:send(VERSION)
    for message in ws:messages() do ws:send(message) end
  end)
  return app
]]

local function app_of(version) return (APP:gsub("VERSION", ("%q"):format(version))) end

describe("serve", function()
  it("closes sockets with 1012 at SIGHUP with workers, and new ones find the new generation", function()
    local s <close> = served.start({ ["app.lua"] = app_of "one" }, "--workers 2")
    local conn <close> = handshake.open(s.port, "/ws")
    assert.same({ 0x81, "one" }, { handshake.read(conn) })
    s:write("app.lua", app_of "two")
    s:kill "HUP"
    assert.equal(1012, handshake.read_close(conn))
    conn:send(handshake.close(1012))
    assert.equal("", conn:receive "*a")
    -- The workers are replaced one after the other: for a while the other old one accepts, too.
    served.wait_until("no socket of the new generation", function()
      local new <close> = handshake.open(s.port, "/ws")
      return select(2, handshake.read(new)) == "two"
    end)
  end)

  it("does the same where --reload finds a change", function()
    local s <close> = served.start({ ["app.lua"] = app_of "one" }, "--reload")
    local conn <close> = handshake.open(s.port, "/ws")
    assert.same({ 0x81, "one" }, { handshake.read(conn) })
    s:write("app.lua", app_of "two")
    assert.equal(1012, handshake.read_close(conn))
    conn:send(handshake.close(1012))
    local new <close> = handshake.open(s.port, "/ws")
    assert.same({ 0x81, "two" }, { handshake.read(new) })
  end)

  it("closes them with 1001 at SIGTERM, with workers and without", function()
    for _, options in ipairs { "", "--workers 1" } do
      local s <close> = served.start({ ["app.lua"] = app_of "one" }, options)
      local conn <close> = handshake.open(s.port, "/ws")
      assert.same({ 0x81, "one" }, { handshake.read(conn) })
      s:kill "TERM"
      assert.equal(1001, handshake.read_close(conn))
      conn:send(handshake.close(1001))
      assert.equal("", conn:receive "*a")
    end
  end)
end)

describe("a server with TLS", function()
  local tls = require "spec.support.tls"

  it("speaks WebSocket over it, to pages of https", function()
    if not tls.is_there() then pending "needs openssl" end
    local folder <close> = tls.certificates { server = {} }
    local app = web.app()
    app:websocket("/ws", function(ws, req)
      ws:send(req.scheme .. " " .. req.tls.version)
      for message in ws:messages() do ws:send(message) end
    end)
    support.serving(app, function(port)
      local url = ("wss://localhost:%d/ws"):format(port)
      local opts = { tls = { ca = folder.path .. "/ca.crt" }, headers = { Origin = "https://localhost:" .. port } }
      local ws <close> = assert(ml.ws.connect(url, opts))
      assert.matches("^https 1%.[23]", ws:receive())
      local big = ("b"):rep(50000)
      for _ = 1, 5 do
        ws:send(big)
        assert.equal(big, ws:receive())
      end
      ws:close(1001)
      assert.equal(1001, select(2, ws:receive()).code)
      opts.headers.Origin = "http://localhost:" .. port
      assert.equal(403, select(2, ml.ws.connect(url, opts)).status)
    end, { tls = { cert = folder.server.cert, key = folder.server.key } })
  end)
end)
