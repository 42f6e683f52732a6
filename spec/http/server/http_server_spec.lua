-- HTTP/1 on the wire: framing, limits, keep-alive, pipelining, clients that leave, an orderly end.
local ml = require "moonloop"
local web = require "moonloop.web"
local common = require "spec.support"
local folders = require "spec.support.folder"
local process = require "spec.support.process"
local support = require "spec.support.web"
local keep_reports = require "reports".keep

local rawtcp, request = common.rawtcp, support.request

local function echo_app()
  local app = web.app()
  app:any("/{rest:path}", function(req) return req.body end)
  return app
end

-- Sends `text` to the echo app and returns the response.
local function echo(text)
  local res, why
  support.serving(echo_app(), function(port) res, why = support.ask(port, text) end)
  return assert(res, why)
end

local function refused(status, text)
  local res = echo(text)
  assert.equal(status, res.status, text:sub(1, 200))
  assert.equal("close", res.headers.connection)
  assert.equal("application/json", res.headers["content-type"])
  assert.matches('^{"detail":"[^"]+"}$', res.body)
end

describe("a connection", function()
  it("stays open in HTTP/1.1", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      for _ = 1, 3 do
        conn:send(request("POST", "/", "Content-Length: 2\r\n", "hi"))
        local res = support.receive(conn)
        assert.equal("hi", res.body)
        assert.is_nil(res.headers.connection)
      end
    end)
  end)
  it("is closed after Connection: close", function()
    assert.equal("close", echo(request("GET", "/", "Connection: close\r\n")).headers.connection)
  end)
  it("is closed in HTTP/1.0, unless keep-alive is asked for", function()
    assert.equal("close", echo("GET / HTTP/1.0\r\n\r\n").headers.connection)
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      for _ = 1, 2 do
        conn:send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert.equal("keep-alive", support.receive(conn).headers.connection)
      end
    end)
  end)
  it("takes a later version of HTTP/1 for 1.1, in whatever pieces it comes", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      for _, text in ipairs { "POST /x HTTP/1.2\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
        "POST /x HTTP/1.9\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n" } do
        for from = 1, #text do
          conn:send(text:sub(from, from))
          if from < 30 then ml.sleep(0.001) end
        end
        local res = support.receive(conn)
        assert.equal("hi", res.body)
        assert.is_nil(res.headers.connection)
      end
    end)
    assert.equal("close", echo(request("GET", "/", "Connection: close\r\n"):gsub("1%.1", "1.2", 1)).headers.connection)
    refused(400, "GET / HTTP/1.2\r\n\r\n") -- a Host is needed, as in 1.1
    refused(400, "GET / HTTP/1.22\r\nHost: a\r\n\r\n")
  end)
  it("does not mind empty lines before a request", function()
    assert.equal(200, echo("\r\n\r\n" .. request("GET", "/")).status)
  end)
  it("takes a request byte by byte", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      for byte in request("POST", "/", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n"):gmatch "." do
        conn:send(byte)
        ml.sleep(0)
      end
      assert.equal("abc", support.receive(conn).body)
    end)
  end)
end)

describe("pipelined requests", function()
  it("are answered in order, one handler at a time", function()
    local app, running, most = web.app(), 0, 0
    app:get("/{n:int}", function(req)
      running = running + 1
      most = math.max(most, running)
      if req.params.n % 2 == 1 then ml.sleep(0.002) end
      running = running - 1
      return tostring(req.params.n)
    end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      local batch = {}
      for i = 1, 10 do batch[i] = request("GET", "/" .. i) end
      conn:send(table.concat(batch))
      for i = 1, 10 do assert.equal(tostring(i), support.receive(conn).body) end
    end)
    assert.equal(1, most)
  end)
  it("without a route take turns with those of others", function()
    local paths, conns = {}, {}
    support.serving(web.app(), function(port)
      for i = 1, 2 do conns[i] = assert(rawtcp.connect(port)) end
      for i, conn in ipairs(conns) do assert(conn:send(request("GET", "/" .. i):rep(500))) end
      for _, conn in ipairs(conns) do
        for _ = 1, 500 do assert.equal(404, support.receive(conn).status) end
        conn:close()
      end
    end, { access_log = function(entry) paths[#paths + 1] = entry.target end })
    local turns = 0
    for i = 2, #paths do turns = turns + (paths[i] ~= paths[i - 1] and 1 or 0) end
    assert.equal(1000, #paths)
    assert.is_true(turns > 20, "the clients took turns " .. turns .. " times")
  end)
  it("of one batch are answered in one write", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"):rep(10))
      assert.equal(10, select(2, conn:receive():gsub("HTTP/1.1 200 OK\r\n", "")))
    end)
  end)
  it("get errors in their place", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/") .. request("POST", "/", "Content-Length: 1\r\n", "x") .. request("GET", "*"))
      assert.equal(200, support.receive(conn).status)
      assert.equal("x", support.receive(conn).body)
      assert.equal(400, support.receive(conn).status)
      assert.equal("", conn:receive("*a"))
    end)
  end)
  it("may be more than fit into one pass, or into the read-ahead", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      local body = ("x"):rep(1000)
      local sender = ml.spawn(function()
        for _ = 1, 20 do conn:send(request("POST", "/", "Content-Length: 1000\r\n", body):rep(20)) end
      end)
      for _ = 1, 400 do assert.equal(1000, #support.receive(conn).body) end
      sender:await()
    end)
  end)
  it("wait while a client does not read", function()
    local app, made = web.app(), 0
    app:get("/", function() made = made + 1 return common.xs(1000000) end)
    support.serving(app, function(port, server)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"):rep(50))
      while made == 0 do ml.sleep(0.001) end
      ml.sleep(0.05)
      assert.is_true(made < 50, made .. " responses were made")
      for _ = 1, 50 do assert.equal(1000000, #support.receive(conn).body) end
      assert.equal(50, server.requests)
    end)
  end)
end)

describe("a request body", function()
  it("is framed by Content-Length or by chunks, with extensions and trailers", function()
    assert.equal("hello", echo(request("POST", "/", "Content-Length: 5\r\n", "hello")).body)
    assert.equal("hello world", echo(request("POST", "/", "Transfer-Encoding: Chunked\r\n",
      "5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n")).body)
    assert.equal("", echo(request("POST", "/", "Content-Length: 0\r\n")).body)
  end)
  it("with a tab after its length is refused, even if it came with its head", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("POST", "/", "Content-Length: 3\t\r\n", "abc"))
      assert.equal(400, support.receive(conn).status)
    end)
  end)
  it("has trailers that do not affect the connection: Connection: close in one refused the next request", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      local chunked = request("POST", "/", "Transfer-Encoding: chunked\r\n",
        "2\r\nhi\r\n0\r\nConnection: close\r\n\r\n")
      for _ = 1, 2 do
        conn:send(chunked)
        assert.equal("hi", support.receive(conn).body)
      end
      conn:send(chunked:rep(2))
      for _ = 1, 2 do assert.equal("hi", support.receive(conn).body) end
    end)
  end)
  it("is the same whether it comes with its head or after it, and ends where the next request begins", function()
    support.serving(echo_app(), function(port)
      local bodies = { "", "a", "hello", ("0123456789abcdef"):rep(500) }
      local all = {}
      for i, body in ipairs(bodies) do
        all[i] = request("POST", "/", "Content-Length: 00" .. #body .. " \r\n", body)
      end
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(table.concat(all))
      for _, body in ipairs(bodies) do assert.equal(body, support.receive(conn).body) end
      for i, body in ipairs(bodies) do
        local head = #all[i] - #body
        for _, cut in ipairs { head, head + #body // 2, #all[i] - 1 } do
          conn:send(all[i]:sub(1, cut))
          ml.sleep(0)
          conn:send(all[i]:sub(cut + 1))
          assert.equal(body, support.receive(conn).body)
        end
      end
    end)
  end)
  it("may be large", function()
    local body = ("0123456789abcdef"):rep(40000)
    assert.is_true(echo(request("PUT", "/", "Content-Length: " .. #body .. "\r\n", body)).body == body)
  end)
  it("is 413 above the limit: before it is read, or as it comes", function()
    local app = web.app()
    app:post("/", { max_body = 10 }, function(req) return req.body end)
    app:post("/default", function(req) return tostring(#req.body) end)
    support.serving(app, function(port)
      assert.equal("0123456789", support.post(port, "/", "0123456789").body)
      assert.equal(413, support.ask(port, request("POST", "/", "Content-Length: 11\r\n")).status)
      assert.equal(413, support.ask(port, request("POST", "/", "Content-Length: 11\r\n", "01234567890")).status)
      local chunked = request("POST", "/", "Transfer-Encoding: chunked\r\n", "b\r\n01234567890\r\n0\r\n\r\n")
      assert.equal(413, support.ask(port, chunked).status)
      assert.equal(413, support.ask(port, request("POST", "/default", "Content-Length: 10485761\r\n")).status)
    end)
  end)
  it("does not come before 100 Continue if the client expects it", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("POST", "/", "Content-Length: 2\r\nExpect: 100-continue\r\n"))
      assert.equal("HTTP/1.1 100 Continue\r\n\r\n", conn:receive("\r\n\r\n"))
      conn:send("hi")
      assert.equal("hi", support.receive(conn).body)
    end)
  end)
  it("is not asked for if the answer is known: 404, 413, another expectation, HTTP/1.0", function()
    local app = web.app()
    app:post("/", { max_body = 1 }, function(req) return req.body end)
    support.serving(app, function(port)
      local expect = "Expect: 100-continue\r\n"
      assert.equal(404, support.ask(port, request("POST", "/none", "Content-Length: 2\r\n" .. expect)).status)
      assert.equal(413, support.ask(port, request("POST", "/", "Content-Length: 2\r\n" .. expect)).status)
      assert.equal(417, support.ask(port, request("POST", "/", "Content-Length: 1\r\nExpect: more\r\n")).status)
      assert.equal("x", support.ask(port, "POST / HTTP/1.0\r\nContent-Length: 1\r\n" .. expect .. "\r\nx").body)
    end)
  end)
  it("is refused with a reply that a client still sending can read", function()
    support.serving(web.app():post("/", { max_body = 1 }, function() end), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("POST", "/", "Content-Length: 3000000\r\n"))
      local sender = ml.spawn(function() conn:send(common.xs(3000000)) conn:shutdown() end)
      assert.equal(413, support.receive(conn).status)
      sender:await()
    end)
  end)
end)

describe("a response", function()
  it("to HEAD has the headers and no body", function()
    local app = web.app():get("/", function() return { a = 1 } end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("HEAD", "/") .. request("HEAD", "/none") .. request("GET", "/"))
      local res = support.receive(conn, true)
      assert.equal(200, res.status)
      assert.same({ "7", "application/json" }, { res.headers["content-length"], res.headers["content-type"] })
      assert.equal(404, support.receive(conn, true).status)
      assert.equal('{"a":1}', support.receive(conn).body)
    end)
  end)
  it("to OPTIONS * is 204", function()
    local res = echo(request("OPTIONS", "*"))
    assert.equal(204, res.status)
    assert.matches("GET", res.headers.allow)
  end)
end)

describe("limits", function()
  it("allow 8 kB of target and 32 kB and 100 lines of head", function()
    assert.equal(200, echo(request("GET", "/" .. ("a"):rep(8000))).status)
    assert.equal(200, echo(request("GET", "/", "X: " .. ("a"):rep(30000) .. "\r\n")).status)
    assert.equal(200, echo(request("GET", "/", ("X: y\r\n"):rep(99))).status)
  end)
  it("are 414 and 431 beyond that, even for a head that does not end", function()
    refused(414, request("GET", "/" .. ("a"):rep(8193)))
    refused(414, "GET /" .. ("a"):rep(9000))
    refused(431, request("GET", "/", "X: " .. ("a"):rep(33000) .. "\r\n"))
    refused(431, "GET / HTTP/1.1\r\nHost: a\r\n" .. ("X: y\r\n"):rep(6000))
    refused(431, request("GET", "/", ("X: y\r\n"):rep(100)))
  end)
  it("apply to chunk framing", function()
    local extension = ("a"):rep(65536)
    refused(400, request("POST", "/", "Transfer-Encoding: chunked\r\n",
      "5;x=" .. extension .. "\r\nhello\r\n0\r\n\r\n"))
  end)
end)

describe("a malformed request is a 400:", function()
  for name, text in pairs {
    ["garbage"] = "\1\2\3\4\r\n\r\n",
    ["a method that is no word"] = "F(O / HTTP/1.1\r\nHost: a\r\n\r\n",
    ["no target"] = "GET HTTP/1.1\r\nHost: a\r\n\r\n",
    ["a relative target"] = "GET a HTTP/1.1\r\nHost: a\r\n\r\n",
    ["GET *"] = "GET * HTTP/1.1\r\nHost: a\r\n\r\n",
    ["a fragment"] = "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
    ["a byte above ASCII in the target"] = "GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    ["two spaces"] = "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    ["no Host"] = "GET / HTTP/1.1\r\n\r\n",
    ["two Hosts"] = "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    ["an empty Host"] = "GET / HTTP/1.1\r\nHost: \r\n\r\n",
    ["a Host with a user"] = "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
    ["a Host with a path"] = "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    ["a Host with a port that is no number"] = "GET / HTTP/1.1\r\nHost: a:b\r\n\r\n",
    ["a Host that is only a port"] = "GET / HTTP/1.1\r\nHost: :80\r\n\r\n",
    ["a Host with a bracket left open"] = "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
    ["a target with a user"] = "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    ["a backslash in the path"] = "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n",
    ["CONNECT without a port"] = "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n",
    ["a folded line in a head that does not end"] = "GET / HTTP/1.1\r\nHost: a\r\n b",
    ["a list of Hosts"] = "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n",
    ["a folded line"] = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
    ["a space before the colon"] = "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
    ["a line without a colon"] = "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    ["a bare LF"] = "GET / HTTP/1.1\nHost: a\r\n\r\n",
    ["NUL in a value"] = "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
    ["Content-Length twice"] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    ["Content-Length -1"] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ["a Content-Length of a terabyte"] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1099511627776\r\n\r\n",
    ["an empty Content-Length"] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n",
    ["an empty Transfer-Encoding"] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \r\n\r\n",
    ["chunked that is not the last coding"] =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    ["Transfer-Encoding twice"] =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ["both framings"] =
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ["chunks in HTTP/1.0"] = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ["a bad chunk size"] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
  } do
    it(name, function() refused(400, text) end)
  end
  it("but methods and transfer codings that are not supported are 501, other versions 505", function()
    refused(501, "FOO / HTTP/1.1\r\nHost: a\r\n\r\n")
    refused(501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")
    refused(505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n")
    refused(505, "GET / HTTP/3.1\r\nHost: a\r\n\r\n")
  end)
  it("but CONNECT to a host and a port is a 405 that closes", function()
    local res = echo("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
    assert.equal(405, res.status)
    assert.matches("GET", res.headers.allow)
    assert.equal("close", res.headers.connection)
  end)
end)

describe("a well-formed request is accepted:", function()
  for name, text in pairs {
    ["a Host with a port"] = "GET / HTTP/1.1\r\nHost: a:80\r\n\r\n",
    ["a Host with an empty port"] = "GET / HTTP/1.1\r\nHost: a:\r\n\r\n",
    ["an IPv6 Host"] = "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    ["an absolute target"] = "GET http://a/b?c HTTP/1.1\r\nHost: a\r\n\r\n",
    ["an absolute target without a path"] = "GET http://a:80?c HTTP/1.1\r\nHost: a\r\n\r\n",
    ["Content-Length with leading zeros"] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 01\r\n\r\nx",
    ["a backslash in the query"] = "GET /?a=\\b HTTP/1.1\r\nHost: a\r\n\r\n",
  } do
    it(name, function() assert.is_true(echo(text).status < 300) end)
  end
end)

describe("a client that makes no progress", function()
  it("before its first request is disconnected", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      assert.equal("", conn:receive("*a"))
    end, { header_timeout = 0.5 })
  end)
  it("between requests is disconnected", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      assert.equal(200, support.receive(conn).status)
      assert.equal("", conn:receive("*a"))
    end, { keep_alive = 0.5 })
  end)
  it("in a head or a body gets a 408, even if it sends a byte now and then", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("POST", "/", "Content-Length: 5\r\n", "abc"))
      local drip <close> = assert(rawtcp.connect(port))
      local dripping = ml.spawn(function()
        drip:send("GET / HTTP/1.1\r\nX: ")
        while drip:send("x") do ml.sleep(0.005) end
      end)
      local res = support.receive(conn)
      assert.equal(408, res.status)
      assert.equal("close", res.headers.connection)
      assert.equal(408, support.receive(drip).status)
      dripping:cancel()
    end, { header_timeout = 0.5, body_timeout = 0.5, write_timeout = 0.5 })
  end)
  it("because it does not take its response is disconnected", function()
    local app = web.app():get("/", function() return common.xs(20000000) end)
    support.serving(app, function(port, server)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      while server.requests == 0 do ml.sleep(0.001) end
      while server.connections > 0 do ml.sleep(0.01) end
    end, { header_timeout = 0.5, body_timeout = 0.5, write_timeout = 0.5 })
  end)
  it("but takes its response slowly gets all of it", function()
    local app = web.app():get("/", function() return common.xs(30000000) end)
    support.serving(app, function(port)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(request("GET", "/"))
      conn:receive("\r\n\r\n")
      for _ = 1, 30 do
        assert.equal(1000000, #assert(conn:receive(1000000)))
        ml.sleep(0.15)
      end
    end, { header_timeout = 4, body_timeout = 4, write_timeout = 4 })
  end)
  it("does not hurry a handler", function()
    local app = web.app():get("/", function() ml.sleep(1) return "late" end)
    support.serving(app, function(port)
      assert.equal("late", support.get(port, "/", "Connection: close\r\n").body)
    end, { header_timeout = 0.5, body_timeout = 0.5, write_timeout = 0.5, keep_alive = 0.5 })
  end)
end)

describe("a client that goes away", function()
  -- Runs `leave(conn)` while the handler of /wait is suspended; returns what the handler saw.
  local function leaving(leave)
    local app, seen, inside = web.app(), {}, ml.spawn(function() ml.sleep(1000) end)
    app:get("/wait", function()
      local _ <close> = setmetatable({}, { __close = function() seen.closed = true end })
      local child = ml.spawn(function() ml.sleep(1000) end)
      seen.child = child
      inside:cancel()
      ml.sleep(1000)
      seen.went_on = true
    end)
    support.serving(app, function(port, server)
      local conn = assert(rawtcp.connect(port))
      conn:send(request("GET", "/wait"))
      pcall(inside.await, inside)
      leave(conn)
      while server.connections > 0 do ml.sleep(0.001) end
      conn:close()
    end)
    return seen
  end

  it("cancels its handler and the handler's children", function()
    local function end_then_reset(c)
      c:shutdown()
      c:reset()
    end
    for _, leave in ipairs { function(c) c:close() end, function(c) c:reset() end, end_then_reset } do
      local seen = leaving(leave)
      assert.is_true(seen.closed)
      assert.is_nil(seen.went_on)
      assert.equal("cancelled", seen.child:status())
    end
  end)

  it("but has only ended its side still gets the answers of handlers that do not wait", function()
    support.serving(echo_app(), function(port)
      local conn <close> = assert(rawtcp.connect(port))
      local length = "Content-Length: 1\r\n"
      conn:send(request("POST", "/", length, "a") .. request("POST", "/", length, "b"))
      conn:shutdown()
      assert.equal("a", support.receive(conn).body)
      assert.equal("b", support.receive(conn).body)
      assert.equal("", conn:receive("*a"))
    end)
  end)

  -- The handlers wait until `release` is called; the last one streams. Returns all that the client gets.
  local function half_closing(text)
    local app, started, gate = web.app(), ml.semaphore(0, 9), ml.event()
    app:get("/wait", function()
      started:release()
      gate:wait()
      return "waited"
    end)
    app:get("/stream", function()
      started:release()
      gate:wait()
      return web.response { stream = function(out) for i = 1, 3 do out:write(i .. ";") ml.sleep(0) end end }
    end)
    local got
    support.serving(app, function(port, server)
      local conn <close> = assert(rawtcp.connect(port))
      conn:send(text)
      started:acquire()
      conn:shutdown()
      -- The server has seen the end when it has asked, or, of HTTP/1.0, after a pass of its own.
      if text:find("HTTP/1.1", 1, true) then
        assert.equal("HTTP/1.1 100 Continue\r\n\r\n", conn:receive("\r\n\r\n"))
      else
        support.get(port, "/nothing")
      end
      gate:set()
      got = conn:receive("*a")
      while server.connections > 0 do ml.sleep(0.001) end
    end)
    return got
  end

  it("but has only ended its side gets the answer of a handler that waits", function()
    assert.matches("^HTTP/1.1 200 OK\r\n.*\r\n\r\nwaited$", half_closing(request("GET", "/wait")))
    assert.matches("^HTTP/1.1 200 OK\r\n.*\r\n\r\n2\r\n1;\r\n2\r\n2;\r\n2\r\n3;\r\n0\r\n\r\n$",
      half_closing(request("GET", "/stream")))
  end)

  it("but has only ended its side gets no interim response with HTTP/1.0", function()
    assert.matches("^HTTP/1.1 200 OK\r\n.*\r\n\r\nwaited$", half_closing("GET /wait HTTP/1.0\r\n\r\n"))
  end)

  it("in the middle of a request leaves nothing behind", function()
    support.serving(echo_app(), function(port, server)
      for _, text in ipairs { "", "GET", request("POST", "/", "Content-Length: 5\r\n", "ab") } do
        local conn = assert(rawtcp.connect(port))
        if text ~= "" then conn:send(text) end
        conn:close()
      end
      while server.connections > 0 do ml.sleep(0.001) end
    end)
  end)
end)

describe("a server", function()
  it("says which address is in use", function()
    support.serving(web.app(), function(port)
      local server, err = web.listen(web.app(), { port = port })
      assert.is_nil(server)
      assert.same({ "network", "EADDRINUSE" }, { err.kind, err.code })
      assert.matches("127.0.0.1 port " .. port, err.message, 1, true)
    end)
  end)
  it("says that it cannot resolve a host", function()
    local server, err = web.listen(web.app(), { host = "no.such.host.invalid", port = 0 })
    assert.is_nil(server)
    assert.matches("no.such.host.invalid", err.message, 1, true)
  end)
  it("listens on IPv6 too", function()
    local server, err = web.listen(web.app(), { host = "::1", port = 0 })
    if not server then return pending("no IPv6 here: " .. err.message) end
    server:stop()
  end)
  it("without descriptors closes those that only wait, and leaves clients waiting where nobody does", function()
    local app <close> = folders.file [[
      local ml = require "moonloop"
      local app, over, spent = ml.web.app(), ml.event(), nil
      app:get("/", function() return "hi" end)
      app:get("/wait", function()
        if not spent then
          spent = -os.clock()
          ml.sleep(0.3)
          spent = spent + os.clock()
          over:set()
        end
        over:wait()
        return tostring(spent)
      end)
      return app]]
    local server <close> = process.serve(app.path, "", "ulimit -n 24;")
    local conns = {}
    local function ask(path)
      local conn = assert(rawtcp.connect(server.port))
      conns[#conns + 1] = conn
      if path then assert(conn:send(request("GET", path))) end
      return conn
    end
    for _ = 1, 40 do ask() end
    assert.equal("hi", support.receive(ask "/").body)
    local first = #conns + 1
    for _ = 1, 40 do ask "/wait" end
    for i = first, #conns do
      local spent = tonumber(support.receive(conns[i]).body)
      assert.is_true(spent < 0.15, "accepting took " .. spent .. " s of CPU")
    end
    for _, conn in ipairs(conns) do conn:close() end
    assert.matches("no descriptors are left (ulimit -n)", server:errors(), 1, true)
  end)
  it("keeps the client that took the last descriptor for clients, where no other one waits", function()
    local app <close> = folders.file [[
      local ml = require "moonloop"
      local app = ml.web.app()
      app:get("/", function() return "hi" end)
      app:get("/wait", function() ml.sleep(1000) end)
      return app]]
    local server <close> = process.serve(app.path, "", "ulimit -n 24;")
    local function left() -- an eighth is not for them, and descriptors that are inherited may have higher numbers
      local n = 24 - 24 // 8
      for _, fd in ipairs(assert(ml.fs.list("/proc/" .. server.pid .. "/fd"))) do
        if tonumber(fd) < 24 - 24 // 8 then n = n - 1 end
      end
      return n
    end
    local conns = {}
    local function connect(text)
      local before, conn = left(), assert(rawtcp.connect(server.port))
      conns[#conns + 1] = conn
      if text then assert(conn:send(text)) end
      while left() == before do ml.sleep(0.001) end
      return conn
    end
    while left() > 1 do connect(request("GET", "/wait")) end
    local silent = connect()
    assert(silent:send(request("GET", "/")))
    assert.equal("hi", support.receive(silent).body)
    for _, conn in ipairs(conns) do conn:close() end
  end)
  it("can take the same port again at once", function()
    local port
    support.serving(echo_app(), function(p) port = p support.get(p, "/", "Connection: close\r\n") end)
    for _ = 1, 10 do
      local server = assert(web.listen(echo_app(), { port = port }))
      assert.equal(200, support.get(port, "/").status)
      server:stop()
    end
  end)
  it("that stops lets running requests end and closes idle connections", function()
    local app, started, go_on = web.app(), false, ml.event()
    app:get("/", function() started = true go_on:wait() return "done" end)
    local server = assert(web.listen(app, { port = 0 }))
    local idle <close> = assert(rawtcp.connect(server.port))
    local busy <close> = assert(rawtcp.connect(server.port))
    busy:send(request("GET", "/"))
    while not started do ml.sleep(0.001) end
    local stopping = ml.spawn(server.stop, server, 100)
    assert.equal("", idle:receive("*a"))
    assert.is_nil(rawtcp.connect(server.port))
    go_on:set()
    local res = support.receive(busy)
    assert.equal("done", res.body)
    assert.equal("close", res.headers.connection)
    assert.equal("", busy:receive("*a"))
    stopping:await()
    server:wait()
  end)
  it("that stops cancels what does not end in time, with a 503", function()
    local app, started, closed = web.app(), false, false
    local reports <close> = keep_reports()
    app:get("/", function()
      local _ <close> = setmetatable({}, { __close = function() closed = true end })
      started = true
      ml.sleep(100)
    end)
    local server = assert(web.listen(app, { port = 0 }))
    local conn <close> = assert(rawtcp.connect(server.port))
    conn:send(request("GET", "/"))
    while not started do ml.sleep(0.001) end
    local stopping = ml.spawn(server.stop, server, 0.02)
    assert.equal(503, support.receive(conn).status)
    stopping:await()
    assert.is_true(closed)
    assert.matches("the time for stopping is over: 1 tasks of requests are cancelled\n$", reports:text())
  end)
  it("wakes all tasks that wait for its end, even twice", function()
    local server = assert(web.listen(web.app(), { port = 0 }))
    local a, b = ml.spawn(server.wait, server), ml.spawn(server.wait, server)
    local c = ml.spawn(server.wait, server)
    ml.sleep(0)
    c:cancel()
    server:stop()
    a:await() b:await()
    server:stop()
    assert.equal("cancelled", c:status())
  end)
end)
