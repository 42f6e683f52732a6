-- c:websocket of the test client.
local ml = require "moonloop"
local clock = require "moonloop.clock"
local keep_reports = require("spec.support").keep_reports
local web = ml.web

local function echo(opts)
  local app = web.app()
  app:websocket("/ws", opts or {}, function(ws)
    for message, kind in ws:messages() do
      if kind == "text" then ws:send(message) else ws:send_binary(message) end
    end
  end)
  return app
end

describe("c:websocket", function()
  it("opens a socket without a port, whose object is that of ml.ws", function()
    local c <close> = web.test(echo { protocols = { "v1" }, compress = true })
    local ws <close> = assert(c:websocket("/ws", { protocols = { "v1" }, compress = true }))
    assert.equal("v1", ws.protocol)
    assert.equal(ws, ws:send("hello"))
    assert.same({ "hello", "text" }, { ws:receive() })
    ws:send_binary(("\0"):rep(100000))
    assert.same({ ("\0"):rep(100000), "binary" }, { ws:receive() })
    ws:send_json { a = 1 }
    assert.same({ a = 1 }, ws:receive_json())
    ws:close()
    local message, err = ws:receive()
    assert.same({ nil, "closed", 1000 }, { message, err.kind, err.code })
  end)

  it("sends headers, cookies and what the client has", function()
    local app = web.app()
    app:get("/login", function() return web.response { body = "" }:set_cookie("user", "ada") end)
    app:websocket("/ws/{id}", function(ws, req)
      ws:send_json { id = req.params.id, q = req.query.q, user = req:cookies().user, mine = req.headers["x-mine"],
        all = req.headers["x-all"], auth = req.headers.authorization, host = req.host }
    end)
    local c <close> = web.test(app, { headers = { ["X-All"] = "1", ["X-Mine"] = "0" }, auth = "token",
      base_url = "http://shop.example:8080" })
    c:get("/login")
    local ws <close> = assert(c:websocket("/ws/7?q=x", { headers = { ["x-mine"] = "2" } }))
    assert.same({ id = "7", q = "x", user = "ada", mine = "2", all = "1", auth = "Bearer token",
      host = "shop.example:8080" }, ws:receive_json())
    local other <close> = assert(c:websocket("/ws/7", { cookies = { user = "bob" } }))
    assert.equal("bob", other:receive_json().user)
  end)

  it("takes no more than 64 kB of messages ahead of a handler that does not receive", function()
    clock.virtual()
    local app, go, received = web.app(), ml.event(), 0
    app:websocket("/ws", function(ws)
      go:wait()
      for message in ws:messages() do received = received + #message end
    end)
    local c <close> = web.test(app)
    local ws <close> = assert(c:websocket("/ws"))
    local sent = 0
    local sender = ml.spawn(function()
      for i = 1, 1000 do
        ws:send(("m"):rep(1000))
        sent = i * 1000
      end
    end)
    ml.sleep(5) -- of the virtual clock: until nothing goes on any more
    assert(sent >= 64000 and sent < 64000 * 6, sent) -- 64 kB wait there, as many here, and some in between
    go:set()
    sender:await()
    ml.sleep(1)
    assert.equal(1000000, received)
  end)

  it("gives nil and an error where the app answers otherwise", function()
    local app = echo()
    app:get("/plain", function() return "" end)
    app:websocket("/private", { depends = { web.security.bearer {} } }, print)
    local c <close> = web.test(app)
    for path, status in pairs { ["/none"] = 404, ["/plain"] = 200, ["/private"] = 401 } do
      local ws, err = c:websocket(path)
      assert.same({ nil, "network", status }, { ws, err.kind, err.status })
    end
    local ws, err = c:websocket("/ws", { headers = { Origin = "https://evil.example" } })
    assert.same({ nil, 403 }, { ws, err.status })
  end)

  it("raises what its handler has raised", function()
    local app = web.app()
    app:websocket("/ws", function(ws)
      ws:send("first")
      error("broken", 0)
    end)
    app:websocket("/early", { depends = { web.dependency { function() error("too early", 0) end } } }, print)
    local c <close> = web.test(app)
    local ws <close> = assert(c:websocket("/ws"))
    assert.equal("first", ws:receive())
    assert.error_matches(function() ws:receive() end, "broken")
    assert.equal(1011, select(2, ws:receive()).code)
    assert.error_matches(function() c:websocket("/early") end, "too early")

    local reports <close> = keep_reports()
    local unheard = assert(c:websocket("/ws"))
    unheard:receive()
    unheard:close()
    local plain <close> = web.test(app, { raise = false })
    local other <close> = assert(plain:websocket("/ws"))
    other:receive()
    assert.equal(1011, select(2, other:receive()).code)
    assert.matches("the WebSocket of GET /ws failed: broken", reports:text(), 1, true)
    c:close()
    assert.equal(2, select(2, reports:text():gsub("broken", "")))
  end)

  it("works with the virtual clock", function()
    clock.virtual()
    local app = web.app()
    app:websocket("/ws", function(ws)
      for i = 1, 3 do
        ml.sleep(3600)
        ws:send(tostring(i))
      end
    end)
    local c <close> = web.test(app)
    local ws <close> = assert(c:websocket("/ws"))
    local start, seen = ml.now(), {}
    for message in ws:messages() do seen[#seen + 1] = message end
    assert.same({ "1", "2", "3" }, seen)
    assert.equal(3 * 3600, ml.now() - start)
  end)

  it("ends with the client, which its handler learns", function()
    local app, log = web.app(), {}
    app:websocket("/ws", function(ws)
      local _, err = ws:receive()
      log[#log + 1] = err.code
    end)
    do
      local c <close> = web.test(app)
      local ws <close> = assert(c:websocket("/ws"))
      local waiting = ml.spawn(function() return select(2, ws:receive()).code end)
      ml.sleep(0)
      c:close()
      assert.equal(1001, waiting:await())
    end
    assert.same({ 1001 }, log)
  end)

  it("raises mistakes", function()
    local c <close> = web.test(echo())
    assert.error_matches(function() c:websocket("ws") end, "a path such as")
    assert.error_matches(function() c:websocket("/ws", { tls = {} }) end, "tls")
    assert.error_matches(function() c:websocket("/ws", { nonsense = 1 }) end, "nonsense")
    c:close()
    assert.error_matches(function() c:websocket("/ws") end, "closed")
  end)
end)
