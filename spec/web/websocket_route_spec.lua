-- app:websocket: the handshake and what surrounds it. How sockets end is in websocket_end_spec.lua.
local ml = require "moonloop"
local handshake = require "spec.support.handshake"
local json = require "moonloop.json"
local keep_reports = require("spec.support").keep_reports
local rawtcp = require("spec.support").rawtcp
local support = require "spec.support.web"
local web = ml.web

--- An app whose route "/ws" sends back what comes.
local function echo(opts)
  local app = web.app()
  app:websocket("/ws", opts or {}, function(ws)
    for message, kind in ws:messages() do
      if kind == "text" then ws:send(message) else ws:send_binary(message) end
    end
  end)
  return app
end

--- The response to a handshake that is refused.
local function refused(port, headers, target)
  local conn <close>, res = handshake.open(port, target or "/ws", headers)
  return res, conn
end

local function detail(res) return json.decode(res.body).detail end

describe("the handshake of a WebSocket", function()
  it("is answered as in RFC 6455, and messages go both ways", function()
    support.serving(echo(), function(port)
      local conn <close>, res = handshake.open(port, "/ws")
      assert.equal(101, res.status)
      assert.matches("^HTTP/1.1 101 Switching Protocols\r\n", res.head)
      assert.equal(handshake.ACCEPT, res.headers["sec-websocket-accept"])
      assert.equal("websocket", res.headers.upgrade)
      assert.equal("Upgrade", res.headers.connection)
      assert.is_nil(res.headers["content-length"])
      assert.is_nil(res.headers["transfer-encoding"])
      assert.is_nil(res.headers["content-type"])
      assert.is_nil(res.headers["sec-websocket-extensions"])
      conn:send(handshake.text "hello" .. handshake.frame(0x82, "\0\255"))
      assert.same({ 0x81, "hello" }, { handshake.read(conn) })
      assert.same({ 0x82, "\0\255" }, { handshake.read(conn) })
      conn:send(handshake.close(1000))
      assert.equal(1000, handshake.read_close(conn))
      assert.equal("", conn:receive "*a")
    end)
  end)

  it("takes tokens in any case and in lists", function()
    support.serving(echo(), function(port)
      for _, headers in ipairs {
        { Upgrade = "WebSocket" }, { Upgrade = "h2c, WEBSOCKET" }, { Connection = "keep-alive, Upgrade" },
        { Connection = "UPGRADE" }, { Connection = "close, upgrade" },
      } do
        local conn <close>, res = handshake.open(port, "/ws", headers)
        assert.equal(101, res.status)
        conn:send(handshake.text "x")
        assert.same({ 0x81, "x" }, { handshake.read(conn) })
      end
    end)
  end)

  it("loses no bytes that come right behind it", function()
    support.serving(echo(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      local texts = {}
      for i = 1, 200 do texts[i] = handshake.text("message " .. i) end
      conn:send(handshake.request "/ws" .. table.concat(texts))
      assert.equal(101, support.receive(conn).status)
      for i = 1, 200 do assert.same({ 0x81, "message " .. i }, { handshake.read(conn) }) end
    end)
  end)

  it("loses none if they are more than the server keeps while the handshake is handled", function()
    local app, go = web.app(), ml.event()
    app:use(function(req, next)
      go:wait()
      return next(req)
    end)
    local got = ml.queue()
    app:websocket("/ws", function(ws)
      for message in ws:messages() do got:put(message) end
    end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      local payload = ("y"):rep(60000)
      conn:send(handshake.request "/ws")
      local sender = ml.spawn(function()
        for _ = 1, 20 do conn:send(handshake.text(payload)) end
      end)
      ml.sleep(0.05)
      go:set()
      assert.equal(101, support.receive(conn).status)
      for _ = 1, 20 do assert.equal(payload, got:get()) end
      sender:await()
    end, { read_ahead = 1000 })
  end)

  it("follows pipelined requests, and arrives in pieces", function()
    local app = echo()
    app:get("/", function() return "plain" end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(support.request("GET", "/") .. support.request("GET", "/") .. handshake.request "/ws")
      assert.equal("plain", support.receive(conn).body)
      assert.equal("plain", support.receive(conn).body)
      assert.equal(101, support.receive(conn).status)
      conn:send(handshake.text "x")
      assert.same({ 0x81, "x" }, { handshake.read(conn) })

      local slow <close> = assert(rawtcp.connect(port))
      for byte in (handshake.request "/ws" .. handshake.text "slow"):gmatch "." do
        slow:send(byte)
        ml.sleep(0)
      end
      assert.equal(101, support.receive(slow).status)
      assert.same({ 0x81, "slow" }, { handshake.read(slow) })
    end)
  end)

  it("is sent behind a large response that its client has not read", function()
    local app = echo()
    local big = ("b"):rep(4 << 20)
    app:get("/", function() return big end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(support.request("GET", "/") .. handshake.request "/ws" .. handshake.text "x")
      ml.sleep(0.05)
      assert.equal(#big, #support.receive(conn).body)
      assert.equal(101, support.receive(conn).status)
      assert.same({ 0x81, "x" }, { handshake.read(conn) })
    end)
  end)

  it("is a 426 where it is none", function()
    support.serving(echo(), function(port)
      for _, headers in ipairs { { Upgrade = false }, { Connection = false }, { Upgrade = "h2c" },
        { Connection = "close" }, { Connection = "keep-alive" } } do
        local res = refused(port, headers)
        assert.equal(426, res.status)
        assert.equal("websocket", res.headers.upgrade)
        assert.matches("[Uu]pgrade", type(res.headers.connection) == "table" and
          table.concat(res.headers.connection, ", ") or res.headers.connection)
      end
      for _, line in ipairs { "HEAD /ws HTTP/1.1", "GET /ws HTTP/1.0" } do
        local conn <close> = assert(rawtcp.connect(port))
        conn:send(handshake.request("/ws", nil, line))
        local res = support.receive(conn, line:find "HEAD" ~= nil)
        assert.equal(426, res.status)
        assert.equal("websocket", res.headers.upgrade)
      end
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(handshake.request("/ws", { ["Content-Length"] = "0" }, "POST /ws HTTP/1.1"))
      assert.equal(405, support.receive(conn).status)
    end)
  end)

  it("is a 426 with the version for any other one", function()
    support.serving(echo(), function(port)
      for _, version in ipairs { "8", "14", "13, 8", "", false } do
        local res = refused(port, { ["Sec-WebSocket-Version"] = version })
        assert.equal(426, res.status)
        assert.equal("13", res.headers["sec-websocket-version"])
      end
    end)
  end)

  it("is a 400 with a key that is not 16 bytes in base64, or with a body", function()
    support.serving(echo(), function(port)
      for _, key in ipairs { "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZQ==", "dGhlIHNhbXBsZSBub25jZQ!=", "", false,
        handshake.KEY .. ", " .. handshake.KEY, "dGhlIHNhbXBsZSBub25jZWE=" } do
        assert.equal(400, refused(port, { ["Sec-WebSocket-Key"] = key }).status)
      end
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(handshake.request("/ws", { ["Content-Length"] = "5" }) .. "hello" .. support.request("GET", "/none"))
      assert.equal(400, support.receive(conn).status)
      assert.equal(404, support.receive(conn).status) -- the body was none of its frames
      local chunked <close> = assert(rawtcp.connect(port))
      chunked:send(handshake.request("/ws", { ["Transfer-Encoding"] = "chunked" }))
      assert.equal(400, support.receive(chunked).status)
    end)
  end)

  it("is ignored by other routes", function()
    local app = web.app()
    app:get("/", function() return "plain" end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(handshake.request "/" .. support.request("GET", "/"))
      assert.equal("plain", support.receive(conn).body)
      assert.equal("plain", support.receive(conn).body)
    end)
  end)
end)

describe("the origin of a WebSocket", function()
  it("is the server's own by default", function()
    support.serving(echo(), function(port)
      for _, origin in ipairs { "http://here", "http://HERE", "http://here:80", false } do
        assert.equal(101, refused(port, { Origin = origin }).status)
      end
      for _, origin in ipairs { "https://here", "http://there", "http://here:8080", "null", "", "http://here.evil" } do
        local res = refused(port, { Origin = origin })
        assert.equal(403, res.status)
        assert.matches("http://here", detail(res), 1, true)
        if origin:find "there" then assert.matches("http://there", detail(res), 1, true) end
      end
    end)
  end)

  it("is compared with what a trusted proxy says", function()
    support.serving(echo(), function(port)
      local headers = { Origin = "https://shop.example", ["X-Forwarded-Proto"] = "https",
        ["X-Forwarded-Host"] = "shop.example", ["X-Forwarded-For"] = "1.2.3.4" }
      assert.equal(101, refused(port, headers).status)
      headers["X-Forwarded-Host"] = "other.example"
      assert.equal(403, refused(port, headers).status)
    end, { trusted_proxies = "127.0.0.1" })
  end)

  it("is one of the list, or any", function()
    support.serving(echo { origins = { "https://a.example", "http://b.example:81" } }, function(port)
      assert.equal(101, refused(port, { Origin = "https://a.example:443" }).status)
      assert.equal(101, refused(port, { Origin = "http://b.example:81" }).status)
      assert.equal(101, refused(port).status)
      local res = refused(port, { Origin = "http://here" })
      assert.equal(403, res.status)
      assert.matches("https://a.example, http://b.example:81", detail(res), 1, true)
    end)
    support.serving(echo { origins = "*" }, function(port)
      assert.equal(101, refused(port, { Origin = "https://anywhere.example" }).status)
      assert.equal(101, refused(port, { Origin = "null" }).status)
    end)
  end)
end)

describe("the protocol of a WebSocket", function()
  it("is the first of the server's that the client offers", function()
    local app = web.app()
    app:websocket("/ws", { protocols = { "v2", "v1" } }, function(ws) ws:send(ws.protocol or "none") end)
    support.serving(app, function(port)
      for offered, chosen in pairs { ["v1, v2"] = "v2", ["v1"] = "v1", ["x,v1"] = "v1", ["x"] = false, [""] = false } do
        local conn <close>, res = handshake.open(port, "/ws", { ["Sec-WebSocket-Protocol"] = offered })
        assert.equal(101, res.status)
        assert.equal(chosen or nil, res.headers["sec-websocket-protocol"])
        assert.same({ 0x81, chosen or "none" }, { handshake.read(conn) })
      end
    end)
  end)
end)

describe("a route of WebSockets", function()
  it("opens sockets inside of middleware that closes the connection of every response", function()
    local app = echo()
    app:use(function(req, next)
      local res = next(req)
      res.headers.Connection = "close"
      return res
    end)
    support.serving(app, function(port)
      local conn <close>, res = handshake.open(port, "/ws")
      assert.equal("Upgrade", res.headers.connection)
      conn:send(handshake.text "x")
      assert.same({ 0x81, "x" }, { handshake.read(conn) })
    end)
  end)

  it("is inside of middleware, which sees the 101 and may change its headers", function()
    local app, inner, seen = web.app(), web.app(), {}
    app:use(function(req, next)
      local res = next(req)
      seen[#seen + 1] = res.status
      res.headers["X-Outer"] = "yes"
      return res
    end)
    app:use(web.compress())
    app:use(web.security_headers())
    inner:websocket("/{room}", { use = { function(req, next)
      local res = next(req)
      res.headers["X-Own"] = req.params.room
      return res
    end } }, function(ws, req)
      ws:send(req.params.room .. req.query.q .. req.path)
      seen[#seen + 1] = "handled"
    end)
    app:mount("/chat", inner)
    support.serving(app, function(port)
      local conn <close>, res = handshake.open(port, "/api/chat/blue?q=1", { ["Accept-Encoding"] = "gzip" })
      assert.equal(101, res.status)
      assert.same({ "yes", "blue", "nosniff" }, { res.headers["x-outer"], res.headers["x-own"],
        res.headers["x-content-type-options"] })
      assert.is_nil(res.headers["content-encoding"])
      assert.same({ 0x81, "blue1/chat/blue" }, { handshake.read(conn) })
      assert.equal(1000, handshake.read_close(conn))
      assert.same({ 101, "handled" }, seen)
    end, { root_path = "/api" })
  end)

  it("is refused as any other request", function()
    local app, ran = web.app(), false
    app:use(function(req, next)
      if req.query.q == "stop" then return { stopped = true }, 418 end
      local res = next(req)
      if req.query.q == "late" then return { late = true }, 409 end
      if req.query.q == "abort" then web.abort(402, "pay") end
      return res
    end)
    local bearer = web.security.bearer {
      verify = function(token) return token == "right" and { name = "ada" } or nil end,
    }
    local user = web.dependency { needs = { token = bearer }, function(_, d) return d.token end }
    app:websocket("/ws", { depends = { user = user } }, function(ws, _, deps)
      ran = true
      ws:send(deps.user.name)
    end)
    support.serving(app, function(port)
      local function status(query, token)
        return refused(port, { Authorization = token and "Bearer " .. token }, "/ws?q=" .. query).status
      end
      assert.equal(401, status "")
      assert.equal(401, status("", "wrong"))
      assert.equal(418, status("stop", "right"))
      assert.equal(409, status("late", "right"))
      assert.equal(402, status("abort", "right"))
      assert.is_false(ran)
      local conn <close> = handshake.open(port, "/ws?q=", { Authorization = "Bearer right" })
      assert.same({ 0x81, "ada" }, { handshake.read(conn) })
    end)
  end)

  it("has sessions and rate limits", function()
    local app = web.app()
    app:use(web.sessions { store = "memory" })
    app:get("/login", function(req)
      req.session.user = "ada"
      return "ok"
    end)
    app:websocket("/ws", { use = { web.rate_limit { rate = 0.001, burst = 2 } } }, function(ws, req)
      ws:send(req.session.user or "nobody")
    end)
    support.serving(app, function(port)
      local set = support.get(port, "/login").headers["set-cookie"]
      local conn <close> = handshake.open(port, "/ws", { Cookie = set:match "^[^;]+" })
      assert.same({ 0x81, "ada" }, { handshake.read(conn) })
      local other <close> = handshake.open(port, "/ws")
      assert.same({ 0x81, "nobody" }, { handshake.read(other) })
      assert.equal(429, refused(port).status)
    end)
  end)

  it("checks what comes with schemas", function()
    local app, s = web.app(), ml.schema
    app:websocket("/{id:int}", { query = { n = s.int { min = 1 } } }, function(ws, req)
      ws:send_json { id = req.params.id, n = req.valid.query.n }
    end)
    support.serving(app, function(port)
      assert.equal(422, refused(port, nil, "/7?n=0").status)
      local conn <close> = handshake.open(port, "/7?n=2")
      assert.same({ id = 7, n = 2 }, json.decode(select(2, handshake.read(conn))))
    end)
  end)

  it("keeps dependencies open until the handler has ended, and cleans up once", function()
    local app, log = web.app(), {}
    local function dep(name, scope)
      return web.dependency { name = name, scope = scope, function()
        log[#log + 1] = "open " .. name
        return name, function(err)
          log[#log + 1] = ("close %s %s"):format(name, err and (err.message or err) or "well")
        end
      end }
    end
    local a, b = dep("a", "handler"), dep("b", "response")
    local over = ml.queue()
    app:use(function(req, next)
      local res = next(req)
      if req.query.q == "late" then return { late = true }, 409 end
      return res
    end)
    app:websocket("/ws", { depends = { a = a, b = b } }, function(ws, req, deps)
      req:after(function() over:put(true) end)
      log[#log + 1] = deps.a .. deps.b
      if ws:receive() == "fail" then error("failed", 0) end
    end)
    support.serving(app, function(port)
      local conn <close> = handshake.open(port, "/ws")
      conn:send(handshake.text "x")
      assert.equal(1000, handshake.read_close(conn))
      over:get()
      assert.same({ "open a", "open b", "ab", "close a well", "close b well" }, log)

      log = {}
      local reports <close> = keep_reports()
      local bad <close> = handshake.open(port, "/ws")
      bad:send(handshake.text "fail")
      assert.equal(1011, handshake.read_close(bad))
      over:get()
      assert.same({ "open a", "open b", "ab", "close a failed", "close b failed" }, log)
      assert.matches("the WebSocket of GET /ws failed", reports:text(), 1, true)

      log = {}
      assert.equal(409, refused(port, nil, "/ws?q=late").status)
      while #log < 4 do ml.sleep(0.01) end
      local why = "the WebSocket was not opened"
      assert.same({ "open a", "open b", "close a " .. why, "close b " .. why }, log)
    end)
  end)

  it("has a deadline for the handshake alone", function()
    local app = web.app()
    local slow = web.dependency { name = "slow", function(req)
      if req.query.q then ml.sleep(1000) end
      return "done"
    end }
    app:websocket("/ws", { deadline = 0.2, depends = { slow = slow } }, function(ws, _, deps)
      ml.sleep(0.5)
      ws:send(deps.slow)
    end)
    local reports <close> = keep_reports()
    support.serving(app, function(port)
      assert.equal(503, refused(port, nil, "/ws?q=1").status)
      assert.matches("503 Deadline Exceeded", reports:text(), 1, true)
      local conn <close> = handshake.open(port, "/ws")
      assert.same({ 0x81, "done" }, { handshake.read(conn) })
    end)
  end)

  it("keeps its request usable", function()
    local app = web.app()
    app:websocket("/ws", function(ws, req)
      ws:receive()
      ws:send(("%s %s %s %s"):format(req.method, req.headers["x-mine"], req.client.host, req.url))
    end)
    support.serving(app, function(port)
      local conn <close> = handshake.open(port, "/ws?a=1", { ["X-Mine"] = "yes" })
      conn:send(handshake.text "go")
      assert.same({ 0x81, "GET yes 127.0.0.1 http://here/ws?a=1" }, { handshake.read(conn) })
    end)
  end)

  it("is not in the OpenAPI document", function()
    local app = echo()
    app:get("/x", function() return "" end)
    local c <close> = web.test(app, {})
    local document = json.decode((require "moonloop.web.openapi".text(app)))
    assert.is_nil(document.paths["/ws"])
    assert.is_not_nil(document.paths["/x"])
    assert.equal(426, c:get("/ws").status)
  end)

  it("raises what it cannot have", function()
    local app = web.app()
    local function raises(message, opts, handler)
      assert.error_matches(function() app:websocket("/ws", opts, handler or print) end, message, 1, true)
    end
    for _, name in ipairs { "offload", "body", "form", "response", "max_body" } do
      raises(("option '%s' of app:websocket: a WebSocket's route cannot have it"):format(name), { [name] = true })
    end
    raises("protocols", { protocols = "chat" })
    raises("protocols", { protocols = { "with space" } })
    raises("origins", { origins = "https://a.example" })
    raises("origins", { origins = { "https://a.example/path" } })
    raises("max_message", { max_message = 0 })
    raises("ping", { ping = -1 })
    raises("close_timeout", { close_timeout = "5" })
    raises("compress", { compress = { window = 3 } })
    raises("unknown option 'nonsense' of app:websocket (known: close_timeout, compress, cookies, cpu, deadline, ",
      { nonsense = 1 })
    raises("the options", 7)
    assert.error_matches(function() app:websocket("/ws") end, "the handler of /ws is nil", 1, true)
    app:websocket("/ws", print)
    assert.error_matches(function() app:get("/ws", print) end, "/ws", 1, true)
  end)
end)
