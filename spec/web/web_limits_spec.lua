-- The limits of a server: each an option of the app, of listen, and of serve.
local ml = require "moonloop"
local web = require "moonloop.web"
local common = require "spec.support"
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local support = require "spec.support.web"

local rawtcp, request = common.rawtcp, support.request

local function echo_app(opts)
  return web.app(opts):any("/{rest:path}", function(req) return req.body end)
end

-- The status that a server with these limits answers `text` with.
local function status_of(text, limits)
  local res
  support.serving(echo_app(), function(port) res = assert(support.ask(port, text)) end, limits)
  return res.status
end

describe("the options of a server", function()
  it("are checked, with the option and what is expected in the message", function()
    local function wrong(message, opts)
      assert.error_matches(function() web.app(opts) end, message, 1, true)
    end
    wrong("unknown option 'max_boddy' of ml.web.app (did you mean 'max_body'?)", { max_boddy = 1 })
    wrong("unknown option 'max-body' of ml.web.app (did you mean 'max_body'?)", { ["max-body"] = 1 })
    wrong("unknown option '1' of ml.web.app (known: access_log, body_rate, ", { 1 })
    wrong("option 'max_body' of ml.web.app is -1 (expected a whole number of bytes, at least 0)", { max_body = -1 })
    wrong("option 'max_headers' of ml.web.app is 0 (expected a whole number of lines from 1 to 10000)",
      { max_headers = 0 })
    wrong("option 'keep_alive' of ml.web.app is a string (expected a number of seconds, at least 0.001)",
      { keep_alive = "5" })
    wrong("option 'body_rate' of ml.web.app is 0.5 (expected", { body_rate = 0.5 })
    wrong("the options of ml.web.app are a number (expected a table)", 1)
    assert.error_matches(function() web.listen(web.app(), { prot = 1 }) end,
      "unknown option 'prot' of ml.web.listen", 1, true)
    assert.error_matches(function() web.listen(web.app(), { port = "a" }) end,
      "option 'port' of ml.web.listen", 1, true)
  end)
  it("of the app are the defaults of listen's", function()
    local text = request("POST", "/", "Content-Length: 11\r\n", "01234567890")
    support.serving(echo_app { max_body = 10 }, function(port)
      assert.equal(413, support.ask(port, text).status)
    end)
    support.serving(echo_app { max_body = 10 }, function(port)
      assert.equal(200, support.ask(port, text).status)
    end, { max_body = 11 })
  end)
  it("limit a body to 1 MB if it is read whole, and to 10 MB in pieces, if there is no max_body", function()
    local MB = 1 << 20
    local seen
    local app = web.app()
    app:use(function(req, next)
      local res = next(req)
      seen = res.status
      return res
    end)
    app:post("/body", function(req) return tostring(#req.body) end)
    app:post("/json", function(req) return tostring(#req:json()) end)
    app:post("/form", function(req) return tostring(#req:form().a + 2) end)
    app:post("/caught", function(req) return tostring(pcall(function() return req.body end)) end)
    app:post("/chunks", function(req)
      local n = 0
      for chunk in req:chunks() do n = n + #chunk end
      return tostring(n)
    end)
    app:post("/parts", function(req)
      for part in req:parts() do
        for _ in part:chunks() do end -- luacheck: ignore
      end
      return "parts"
    end)
    app:post("/own", { max_body = 2 * MB }, function(req) return tostring(#req.body) end)
    local form = "Content-Type: application/x-www-form-urlencoded\r\n"
    local multipart = "Content-Type: multipart/form-data; boundary=B\r\n"
    local start = '--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    support.serving(app, function(port)
      local function post(target, body, headers)
        local res = assert(support.post(port, target, body, headers))
        assert.equal(res.status, seen)
        return res.status == 200 and res.body or res.status
      end
      local function chunked(target, n)
        local body = ("%x\r\n%s\r\n"):format(n - 1, ("x"):rep(n - 1)) .. "1\r\nx\r\n0\r\n\r\n"
        local res = support.ask(port, request("POST", target, "Transfer-Encoding: chunked\r\n", body))
        return res.status == 200 and res.body or res.status
      end
      assert.equal(tostring(MB), post("/body", ("x"):rep(MB)))
      assert.equal(413, post("/body", ("x"):rep(MB + 1)))
      assert.equal(tostring(MB), chunked("/body", MB))
      assert.equal(413, chunked("/body", MB + 1))
      assert.equal(413, post("/json", '"' .. ("x"):rep(MB) .. '"'))
      assert.equal(tostring(MB), post("/form", "a=" .. ("x"):rep(MB - 2), form))
      assert.equal(413, post("/form", "a=" .. ("x"):rep(MB - 1), form))
      assert.equal("false", post("/caught", ("x"):rep(MB + 1)))
      assert.equal(tostring(10 * MB), post("/chunks", ("x"):rep(10 * MB)))
      assert.equal(tostring(2 * MB), chunked("/chunks", 2 * MB))
      assert.equal("parts", post("/parts", start .. ("x"):rep(9 * MB) .. "\r\n--B--\r\n", multipart))
      assert.equal(tostring(2 * MB), post("/own", ("x"):rep(2 * MB)))
      -- The client learns it before it sends.
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("POST", "/body", "Content-Length: " .. MB + 1 .. "\r\nExpect: 100-continue\r\n"))
      assert.equal(413, support.receive(conn).status)
      local larger = "Content-Length: " .. 10 * MB + 1 .. "\r\n"
      assert.equal(413, support.ask(port, request("POST", "/chunks", larger)).status)
    end)
    for _, opts in ipairs { { app = { max_body = 2 * MB } }, { listen = { max_body = 2 * MB } } } do
      support.serving(echo_app(opts.app), function(port)
        assert.equal(2 * MB, #support.post(port, "/", ("x"):rep(2 * MB)).body)
        assert.equal(413, support.post(port, "/", ("x"):rep(2 * MB + 1)).status)
      end, opts.listen)
    end
  end)
  it("of a route replace the server's, and math.huge means no limit", function()
    local function echo(req) return req.body end
    local app = web.app { max_body = 10 }
    app:post("/server", echo):post("/own", { max_body = 20 }, echo):post("/any", { max_body = math.huge }, echo)
    support.serving(app, function(port)
      for path, most in pairs { server = 10, own = 20, any = 100000 } do
        assert.equal(200, support.post(port, "/" .. path, ("x"):rep(most)).status)
        if most < 100000 then assert.equal(413, support.post(port, "/" .. path, ("x"):rep(most + 1)).status) end
      end
    end)
  end)
  it("are options of serve, which raises the soft limit on descriptors to the hard one", function()
    local app <close> = folders.file [[
      local app = require("moonloop").web.app { max_body = 1 }
      app:post("/", function(req) return req.body end)
      app:get("/", function() return io.open("/proc/self/limits"):read("a"):match "Max open files +(%d+) " end)
      return app]]
    local server <close> = process.serve(app.path, "--max-body=5 --max-headers 3", "ulimit -Sn 100; ulimit -Hn 512;")
    local port = server.port
    local res = { support.post(port, "/", "12345").status, support.post(port, "/", "123456").status,
      support.get(port, "/", "A: b\r\nC: d\r\n").status, support.get(port, "/", "A: b\r\nC: d\r\nE: f\r\n").status,
      support.get(port, "/").body }
    assert.same({ 200, 413, 200, 431, "512" }, res)
  end)
end)

describe("the limit", function()
  it("max_request_line covers the whole line, including method and version", function()
    assert.equal(200, status_of(request("GET", "/" .. ("a"):rep(85)), { max_request_line = 99 }))
    assert.equal(414, status_of(request("GET", "/" .. ("a"):rep(86)), { max_request_line = 99 }))
  end)
  it("max_request_line does not count empty lines before the request, found by fuzzing", function()
    assert.equal(200, status_of(("\r\n\n"):rep(20) .. request("GET", "/" .. ("a"):rep(85)), { max_request_line = 99 }))
  end)
  it("max_header_bytes covers the whole head, max_headers its lines", function()
    local text = request("GET", "/", ("A: b\r\n"):rep(50))
    assert.equal(200, status_of(text, { max_header_bytes = #text }))
    assert.equal(431, status_of(text, { max_header_bytes = #text - 1 }))
    assert.equal(200, status_of(text, { max_headers = 51 }))
    assert.equal(431, status_of(text, { max_headers = 50 }))
  end)
  it("read_ahead stops reading requests that follow the running one", function()
    local app, go = web.app(), ml.event()
    app:post("/", function(req) go:wait() return tostring(#req.body) end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      local big = request("POST", "/", "Content-Length: 1000000\r\n", common.xs(1000000))
      local sent = 0
      local sender = ml.spawn(function()
        for i = 1, 30 do
          conn:send(big)
          sent = i
        end
      end)
      ml.sleep(0.2)
      assert.is_true(sent < 30, "30 MB were taken ahead")
      go:set()
      for _ = 1, 30 do assert.equal("1000000", support.receive(conn).body) end
      sender:await()
    end, { read_ahead = 1000 })
  end)
end)

-- Sends `text`, and then a byte every 10 ms, or `pause`, until the connection ends. Returns the first
-- answer.
local function drip(port, text, pause)
  local conn <close> = assert(rawtcp.connect(port))
  local dripping = ml.spawn(function()
    conn:send(text)
    while conn:send("x") do ml.sleep(pause or 0.01) end
  end)
  local res = support.receive(conn)
  dripping:cancel()
  pcall(dripping.await, dripping) -- before the connection is closed
  return assert(res)
end

describe("a slow client", function()
  local head = "GET / HTTP/1.1\r\nHost: a\r\nX: "
  local body = request("POST", "/", "Content-Length: 60\r\n")

  it("has header_timeout for a whole head, however it is split", function()
    support.serving(echo_app(), function(port)
      local res = drip(port, head)
      assert.equal(408, res.status)
      assert.equal("close", res.headers.connection)
    end, { header_timeout = 0.5 })
  end)
  it("has body_timeout for each pause in a body", function()
    support.serving(echo_app(), function(port)
      assert.equal(408, support.ask(port, body .. "x").status)
      assert.equal(200, drip(port, body, 0.05).status)
    end, { body_timeout = 2, body_rate = 0 })
  end)
  it("has to send a body at body_rate when body_timeout is over: a byte now and then is not enough", function()
    support.serving(echo_app(), function(port)
      assert.equal(408, drip(port, body).status)
    end, { body_timeout = 0.15, body_rate = 1000 })
  end)
  it("is not held to that while the handler is behind", function()
    local app, got = web.app(), 0
    app:post("/", function(req)
      for chunk in req:chunks() do
        if got == 0 then ml.sleep(2.5) end
        got = got + #chunk
      end
      return tostring(got)
    end)
    support.serving(app, function(port)
      local text = common.xs(2000000)
      assert.equal("2000000", support.post(port, "/", text).body)
    end, { body_timeout = 2, body_rate = 1000000 })
  end)
  it("is not blamed for bytes that came while the loop was held up", function()
    support.serving(echo_app(), function(port, server)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("POST", "/", "Content-Length: 2\r\n", "h"))
      while server.requests == 0 do ml.sleep(0.001) end
      ml.spawn(conn.send, conn, "i")
      ml.spawn(function() -- runs right behind: the byte is in the system, and not read yet
        local ends = ml.now() + 0.8
        while ml.now() < ends do end
      end)
      assert.equal("hi", support.receive(conn).body)
    end, { body_timeout = 0.5 })
  end)
  it("has to be told before its body is expected if it asked for 100 Continue", function()
    local app = web.app():post("/", function(req) ml.sleep(2.5) return req.body end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("POST", "/", "Content-Length: 2\r\nExpect: 100-continue\r\n"))
      assert.matches("^HTTP/1.1 100 ", conn:receive("\r\n\r\n"))
      conn:send("hi")
      assert.equal("hi", support.receive(conn).body)
    end, { body_timeout = 2 })
  end)

  local function big_app() return web.app():get("/", function() return common.xs(40000000) end) end

  it("has write_timeout to take some of its response", function()
    support.serving(big_app(), function(port, server)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      while server.requests == 0 do ml.sleep(0.001) end
      while server.connections > 0 do ml.sleep(0.01) end
    end, { write_timeout = 0.05 })
  end)
  it("is counted when it is cut off", function()
    web.app():metrics "/metrics" -- from now on they are kept
    local function count()
      return tonumber(ml.metrics.text():match 'limited_total{limit_name="write_timeout"} (%d+)' or 0)
    end
    local before = count()
    support.serving(big_app(), function(port, server)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      while server.requests == 0 do ml.sleep(0.001) end
      while server.connections > 0 do ml.sleep(0.01) end
    end, { write_timeout = 0.05 })
    assert.equal(before + 1, count())
  end)
  it("has to take it at write_rate when write_timeout is over", function()
    local function take(rate)
      local got = 0
      support.serving(big_app(), function(port)
        local conn <close> = assert(rawtcp.connect(port))
        conn:send(request("GET", "/"))
        conn:receive("\r\n\r\n")
        while got < 40000000 do
          local piece = conn:receive(400000)
          if not piece then break end
          got = got + #piece
          ml.sleep(0.05)
        end
      end, { write_timeout = 2, write_rate = rate })
      return got
    end
    assert.equal(40000000, take(0))
    assert.is_true(take(1e9) < 40000000)
  end)
  it("does not keep others from being served", function()
    local app = web.app():get("/", function() return common.xs(8000000) end)
    app:post("/", function(req) return req.body end)
    support.serving(app, function(port)
      local conns = {}
      for i = 1, 60 do
        conns[i] = assert(rawtcp.connect(port))
        conns[i]:send(({ head, request("POST", "/", "Content-Length: 100000\r\n"), request("GET", "/") })[i % 3 + 1])
      end
      for i = 1, 100 do
        for _, conn in ipairs(i % 10 == 0 and conns or {}) do conn:send "x" end
        assert.equal("hi", support.post(port, "/", "hi", "Connection: close\r\n").body)
      end
      for _, conn in ipairs(conns) do conn:close() end
    end)
  end)
end)
